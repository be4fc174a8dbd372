"""`freshet verify` of retraining: each model follows from an occasion and from rows of the labelled log."""
