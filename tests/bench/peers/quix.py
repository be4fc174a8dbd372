"""Inference in Quix Streams: one record at a time; exactly-once, with its default of a transaction each 5 s."""

from quixstreams import Application, message_context

from bench.peers.records import Record, answerer, arguments


def main() -> None:
    """Answer until SIGTERM."""
    given = arguments()
    answer = answerer(given.model, given.schemas, given.frame)
    app = Application(
        given.bootstrap,
        consumer_group=given.group,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        auto_create_topics=False,
        state_dir=given.state,
        loglevel="WARNING",
    )
    source = app.topic(given.source, key_deserializer="bytes", value_deserializer="bytes")
    target = app.topic(given.target, key_serializer="bytes", value_serializer="bytes")

    def one(value: bytes) -> bytes:
        at = message_context()
        return answer([Record(value, at.partition, at.offset)])[0]

    app.dataframe(source).apply(one).to_topic(target)
    app.run()


if __name__ == "__main__":
    main()
