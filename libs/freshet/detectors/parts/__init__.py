"""The detectors that a pipeline names by `kind`, one file each."""
