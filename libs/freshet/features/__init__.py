"""Arithmetic that rooms share: features from events."""
