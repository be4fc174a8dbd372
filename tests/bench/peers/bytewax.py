"""Inference in Bytewax: one record at a time, or with --batch many; at-least-once by its recovery store."""

from typing import Any

from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from bench.peers.records import Record, answerer, arguments


def main() -> None:
    """Answer until SIGTERM."""
    given = arguments()
    answer = answerer(given.model, given.schemas, given.frame)

    def many(messages: list[Any]) -> list[Any]:
        values = answer([Record(message.value, message.partition, message.offset) for message in messages])
        return [KafkaSinkMessage(message.key, value) for message, value in zip(messages, values, strict=True)]

    flow = Dataflow("answers")
    messages = op.input("features", flow, KafkaSource([given.bootstrap], [given.source]))
    if given.batch:
        answers = op.flat_map_batch("answer", messages, many)
    else:
        answers = op.map("answer", messages, lambda message: many([message])[0])
    op.output("predictions", answers, KafkaSink([given.bootstrap], given.target, {"partitioner": "murmur2_random"}))
    init_db_dir(given.state, 1)
    cli_main(flow, recovery_config=RecoveryConfig(given.state))


if __name__ == "__main__":
    main()
