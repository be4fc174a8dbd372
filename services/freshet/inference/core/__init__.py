"""The logic of inference: deterministic and without IO."""
