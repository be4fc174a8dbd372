"""The logic of ingestion: deterministic and without IO."""
