"""The console: one screen over all pipelines, made of what the topics and Kafka itself say."""
