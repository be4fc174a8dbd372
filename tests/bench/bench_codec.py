"""CPU time of the codec per record, beside fastavro in the same run: `make bench-parts`.

One thread, the median of several rounds, records like the ones that the services exchange. Nothing is asserted.
"""

import io
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from fastavro import schemaless_reader, schemaless_writer

from bench.peers.records import read_schema
from freshet.avro import Columns, Decoder, Encoder, Ragged, Strings, frame_ids
from freshet.contracts.shipped import schemas_dir

ROUNDS = 7
RECORDS_PER_ROUND = 10_000


def feature_vectors(n: int, width: int) -> Columns:
    """Features as ingestion writes them: uuid-like ids, a few thousand entities, one source partition's offsets."""
    rng = np.random.default_rng(7)
    digits = rng.integers(0, 16, (n, 36))
    return {
        "event_id": Strings.from_list(["".join("0123456789abcdef"[digit] for digit in row) for row in digits.tolist()]),
        "entity": Strings.from_list([f"u{number}" for number in rng.integers(0, 100_000, n).tolist()]),
        "event_time": 1_790_000_000_000 + rng.integers(0, 10**6, n),
        "spec_version": np.full(n, 3, np.int32),
        "values": Ragged.from_matrix(rng.normal(size=(n, width)).astype(np.float32)),
        "source_partition": np.full(n, 2, np.int32),
        "source_offset": 5_000_000 + np.arange(n),
        "source_topic": Strings.repeat(bytes(16), n),
    }


def predictions(features: Columns, n: int) -> Columns:
    """Predictions as inference writes them: most columns are the features' own, as decoded."""
    rng = np.random.default_rng(8)
    kept = ("event_id", "entity", "event_time", "source_partition", "source_offset", "source_topic")
    return {
        **{name: features[name] for name in kept},
        "label": Strings.from_list([("legitimate", "fraud")[label] for label in rng.integers(0, 2, n).tolist()]),
        "scores": Ragged.from_matrix(rng.random((n, 2)).astype(np.float32)),
        "version": Strings.repeat("1.4.2", n),
        "epoch": np.full(n, 7),
        "fallback": np.zeros(n, np.int32),
        "arm": rng.integers(0, 10_000, n).astype(np.int32),
        "features_partition": np.full(n, 2, np.int32),
        "features_offset": 4_000_000 + np.arange(n),
        "features_topic": Strings.repeat(bytes(16), n),
    }


def microseconds(work: Callable[[], Any], n: int) -> float:
    """Median CPU time of one call, divided by n."""
    work()
    calls = max(1, RECORDS_PER_ROUND // n)
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(calls):
            work()
        rounds.append((time.process_time() - start) / calls)
    return statistics.median(rounds) * 1e6 / n


def fastavro_write(schema: Any, records: list[Any]) -> list[bytes]:
    values = []
    for record in records:
        stream = io.BytesIO()
        stream.write(b"\x00\x00\x00\x00\x01")
        schemaless_writer(stream, schema, record)
        values.append(stream.getvalue())
    return values


def row(n: int, width: int) -> tuple[float, ...]:
    """Decode, fastavro's decode, encode, fastavro's encode, frame check: µs per record."""
    files = {name: schemas_dir() / "data" / f"{name}.avsc" for name in ("FeatureVector", "Prediction")}
    texts = {name: file.read_text() for name, file in files.items()}
    plain = {name: read_schema(file) for name, file in files.items()}
    vectors = Encoder(texts["FeatureVector"], 1).encode(feature_vectors(n, width))
    decoder, encoder = Decoder(texts["FeatureVector"]), Encoder(texts["Prediction"], 1)
    answers = predictions(decoder.decode(vectors).columns, n)
    records = [schemaless_reader(io.BytesIO(value[5:]), plain["Prediction"]) for value in encoder.encode(answers)]
    return (
        microseconds(lambda: decoder.decode(vectors), n),
        microseconds(lambda: [schemaless_reader(io.BytesIO(v[5:]), plain["FeatureVector"]) for v in vectors], n),
        microseconds(lambda: encoder.encode(answers), n),
        microseconds(lambda: fastavro_write(plain["Prediction"], records), n),
        microseconds(lambda: frame_ids(vectors), n),
    )


def main() -> None:
    """Print the table."""
    write = sys.stdout.write
    write("µs of CPU per record · decode: FeatureVector · encode: Prediction · fastavro gives dicts, not columns\n\n")
    write("| rows | features | decode | fastavro | encode | fastavro | frame |\n|---|---|---|---|---|---|---|\n")
    for width, sizes in ((8, (1, 16, 100, 1000, 5000)), (64, (1000, 5000))):
        for n in sizes:
            figures = " | ".join(f"{figure:.2f}" for figure in row(n, width))
            write(f"| {n} | {width} | {figures} |\n")


if __name__ == "__main__":
    main()
