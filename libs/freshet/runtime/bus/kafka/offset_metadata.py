"""The text that is committed with an offset, as confluent-kafka hands it over."""

from confluent_kafka import TopicPartition


def metadata_of(committed: TopicPartition) -> str:
    """The metadata, perhaps with more behind it: librdkafka (2.16) hands it on without an end.

    What lies behind it in memory may be no text; what we commit ends in a sign of its own (`contracts.position`).
    """
    try:
        return committed.metadata or ""
    except UnicodeDecodeError as error:
        return error.object.decode(errors="replace")
