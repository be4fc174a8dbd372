"""Inference in Faust: an agent takes one record at a time, or with --batch up to 1,000; at-least-once."""

from typing import Any

import faust

from bench.peers.records import Record, answerer, arguments

_BATCH_ROWS, _BATCH_S = 1000, 0.1


def main() -> None:
    """Answer until SIGTERM."""
    given = arguments()
    answer = answerer(given.model, given.schemas, given.frame)
    app = faust.App(
        given.group,
        broker=f"kafka://{given.bootstrap}",
        store="memory://",
        datadir=given.state,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        producer_linger=0.005,
        stream_buffer_maxsize=16_384,
    )
    source, target = (app.topic(name, key_type=bytes, value_type=bytes) for name in (given.source, given.target))

    async def send(events: list[Any]) -> None:
        records = [Record(event.value, event.message.partition, event.message.offset) for event in events]
        for event, value in zip(events, answer(records), strict=True):
            await target.send(key=event.key, value=value)

    async def each(stream: Any) -> None:
        async for event in stream.events():
            await send([event])

    async def batches(stream: Any) -> None:
        async for events in stream.take_events(_BATCH_ROWS, within=_BATCH_S):
            await send(events)

    app.agent(source)(batches if given.batch else each)
    faust.Worker(app, loglevel="WARNING").execute_from_commandline()


if __name__ == "__main__":
    main()
