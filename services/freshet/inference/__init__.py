"""Inference: answers every feature vector with the model version that its offset calls for."""
