"""What may make retraining train a model, one file each; found by their `kind`."""
