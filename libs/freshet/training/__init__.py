"""Trainers: rows with their truths in, a model out."""
