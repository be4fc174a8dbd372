"""Rollout policies, one file each; found by their `kind`."""
