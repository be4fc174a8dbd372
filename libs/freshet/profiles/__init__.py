"""Profiles: what the rows of a stretch of features or answers look like, in counts that add up."""
