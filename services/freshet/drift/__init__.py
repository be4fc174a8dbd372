"""Watches how good the answers are: labels meet predictions, and what follows from that."""
