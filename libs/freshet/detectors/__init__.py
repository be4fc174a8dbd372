"""Detectors: they watch the labelled log row by row, and say since when the world has changed."""
