"""What every peer's program shares: feature vectors in, predictions out, by fastavro and onnxruntime.

It runs in the peers' environments, where there is no Freshet.
"""

import argparse
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from fastavro import parse_schema, schemaless_reader, schemaless_writer

_FRAME_BYTES = 5  # a zero and the schema's id
_CLASSES = ("no", "yes")


class Record(NamedTuple):
    """A framed feature vector, and where it lies."""

    value: bytes
    partition: int
    offset: int


def arguments() -> argparse.Namespace:
    """What `bench_peers` tells a program."""
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "source", "target", "group", "model", "schemas", "frame", "state"):
        parser.add_argument(name)
    parser.add_argument("--batch", action="store_true")
    return parser.parse_args()


def answerer(model: str, schemas: str, frame: str) -> Callable[[Sequence[Record]], list[bytes]]:
    """A function from feature vectors to framed predictions; all rows that it is given are one run of the model.

    `frame` is the head of a prediction in hex digits.
    """
    vectors, predictions = (read_schema(Path(schemas, f"{name}.avsc")) for name in ("FeatureVector", "Prediction"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options)
    (model_input,) = session.get_inputs()
    head = bytes.fromhex(frame)

    def answer(records: Sequence[Record]) -> list[bytes]:
        bodies = (io.BytesIO(record.value[_FRAME_BYTES:]) for record in records)
        rows: list[Any] = [schemaless_reader(body, vectors, None) for body in bodies]
        matrix = np.array([row["values"] for row in rows], np.float32)
        (scores,) = session.run(None, {model_input.name: matrix})
        framed = []
        for record, row, of_row in zip(records, rows, scores.tolist(), strict=True):
            stream = io.BytesIO()
            stream.write(head)
            schemaless_writer(stream, predictions, _prediction(record, row, of_row))
            framed.append(stream.getvalue())
        return framed

    return answer


def _prediction(record: Record, row: dict[str, Any], scores: list[float]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("event_id", "entity", "event_time")},
        **{name: row[name] for name in ("source_partition", "source_offset", "source_topic")},
        "label": _CLASSES[scores[1] > scores[0]],
        "scores": scores,
        "version": "1.0.0",
        "epoch": 1,
        "fallback": 0,
        "arm": 0,
        "features_partition": record.partition,
        "features_offset": record.offset,
        "features_topic": bytes(16),
    }


def read_schema(file: Path) -> Any:
    """A schema for fastavro at its fastest: without logical types, for which it would make datetime objects."""
    return parse_schema(without_logical_types(json.loads(file.read_text())))


def without_logical_types(schema: Any) -> Any:
    """Numbers stay numbers."""
    if isinstance(schema, list):
        return [without_logical_types(part) for part in schema]
    if isinstance(schema, dict):
        return {key: without_logical_types(part) for key, part in schema.items() if key != "logicalType"}
    return schema
