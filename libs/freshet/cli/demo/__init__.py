"""`freshet demo` and `freshet stream`: the main job, end to end, on a real Kafka."""
