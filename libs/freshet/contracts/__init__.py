"""The nouns every room agrees on: messages, topics, pipelines, batches and effects. Imports nothing of ours."""
