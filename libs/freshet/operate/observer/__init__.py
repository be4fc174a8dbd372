"""What Kafka and the topics say of pipelines, as metrics: `freshet observe`."""
