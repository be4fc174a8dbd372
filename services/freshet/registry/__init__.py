"""The registry: admits models, and alone decides which version answers."""
