"""The way to Kafka: one protocol, a broker behind it or a memory."""
