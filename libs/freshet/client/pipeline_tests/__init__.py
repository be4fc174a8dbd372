"""A user's own tests of a pipeline: what must become of sample events, and how good a model is on recorded rows."""
