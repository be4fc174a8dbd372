"""The message bus: one protocol, implemented on Kafka and in memory."""
