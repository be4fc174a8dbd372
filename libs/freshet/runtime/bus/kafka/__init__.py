"""The bus on a real Kafka cluster: the only room that imports confluent_kafka."""

from freshet.runtime.bus.kafka.kafka_bus import KafkaBus

__all__ = ["KafkaBus"]
