"""What a laptop and the tests need: a real single-node Kafka, and a supervisor that restarts services in place."""
