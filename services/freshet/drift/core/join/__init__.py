"""The label join: which label belongs to which prediction."""
