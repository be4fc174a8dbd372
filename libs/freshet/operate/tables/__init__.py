"""Tables of the user's: read, guessed from, and made into events, features and samples."""
