"""The pure cores of drift."""
