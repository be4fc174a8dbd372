"""What features and answers look like, for people: read from the log of profiles, and drawn."""
