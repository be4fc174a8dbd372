"""The main job end to end on a real Kafka, as two stories: the shipped one, and one of the user's own table."""
