"""What retraining decides: pure, without IO."""
