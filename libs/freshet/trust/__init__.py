"""Signatures: what is signed, by whose key, and whether those who read it believe it."""
