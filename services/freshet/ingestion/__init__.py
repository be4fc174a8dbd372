"""Ingestion: turns raw events into feature vectors and feedback into labels; what breaks the contract is set aside."""
