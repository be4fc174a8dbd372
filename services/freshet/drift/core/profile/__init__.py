"""Profiles: what features and answers look like, frame by frame."""
