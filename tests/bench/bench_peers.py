"""CPU per event of Freshet's inference beside Quix Streams, Bytewax and Faust, on one broker in one run.

Each answers the same kind of feature vectors with the same logistic regression in onnxruntime, on topics of its own.
Peers decode and encode with fastavro and run in environments under .local/peers, which this command makes. A slow one
gets fewer events, so that a round stays short. Prints a table; writes .local/bench-peers.json.
"""

import argparse
import shutil
from functools import partial
from pathlib import Path

import numpy as np

from bench.bench_services import DO_NOTHING, INFERENCE, WIDTH, Bench, variant
from bench.rounds import AT_LEAST_ONCE, EXACTLY_ONCE, NotRunError, compare
from freshet.avro import Decoder, Ragged
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.contracts.arrays import Floats32, Ints
from freshet.contracts.shipped import schemas_dir
from freshet.lab import broker
from freshet.models.scorer import Scorer
from freshet.runtime.reading import everything
from support.environments import NotInstalledError, environment

_HOME = Path(".local/peers")
_COMMON = ("fastavro==1.13.1", "numpy==2.4.6", "onnxruntime==1.31.1")
_PACKAGES = {
    "quix": ("quixstreams==3.28.1", "confluent-kafka==2.12.2"),
    "bytewax": ("bytewax==0.21.1", "confluent-kafka==2.16.0"),
    "faust": ("faust-streaming==0.15.3", "aiokafka==0.14.0"),
}


def main() -> None:
    """Make the environments, then run all variants in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    bootstrap_servers = broker.up(Path.cwd(), say=print).bootstrap_servers
    freshet = [variant(bootstrap_servers, 300_000, *of) for of in (DO_NOTHING, INFERENCE)]
    peers = [
        ("Quix Streams, apply", EXACTLY_ONCE, 30_000, "quix", ()),
        ("Bytewax, map", AT_LEAST_ONCE, 30_000, "bytewax", ()),
        ("Bytewax, flat_map_batch", AT_LEAST_ONCE, 30_000, "bytewax", ("--batch",)),
        ("Faust, events", AT_LEAST_ONCE, 5_000, "faust", ()),
        ("Faust, take_events", AT_LEAST_ONCE, 5_000, "faust", ("--batch",)),
    ]
    variants = [*freshet]
    for name, guarantee, events, peer, options in peers:
        measure = partial(measure_peer, peer=peer, options=options)
        variants.append(variant(bootstrap_servers, events, name, guarantee, measure))
    for peer, packages in _PACKAGES.items():
        print(f"{peer}: {', '.join([*packages, *_COMMON])}")  # noqa: T201
    title = f"{WIDTH} features, 4 partitions, logistic regression"
    compare(title, variants, arguments.rounds, Path(".local/bench-peers.json"))


def measure_peer(bench: Bench, peer: str, options: tuple[str, ...]) -> float:
    """CPU per event in µs of a peer's program, whose answers are then compared with Freshet's. Raises NotRunError."""
    try:
        python = environment(_HOME / peer, [*_PACKAGES[peer], *_COMMON])
    except NotInstalledError as error:
        raise NotRunError(str(error)) from None
    bundle = bench.logreg()
    state = _HOME / "state" / bench.names.namespace
    state.mkdir(parents=True)
    model = state / "model.onnx"
    model.write_bytes(bundle.data)
    frame = b"\0" + schema_id("Prediction").to_bytes(4)
    command = ["env", f"PYTHONPATH={Path(__file__).parents[1]}", str(python), "-m", f"bench.peers.{peer}"]
    schemas = str(schemas_dir() / "data")
    try:
        cpu_us = bench.measure_program(command, str(model), schemas, frame.hex(), str(state), *options)
        check_answers(bench, Scorer.load(bundle.data, bundle.manifest))
    finally:
        bench.supervisor.stop_all(timeout_s=1)
        shutil.rmtree(state)
    return cpu_us


def check_answers(bench: Bench, scorer: Scorer) -> None:
    """Raise NotRunError unless each feature vector has one answer, with the scores that Freshet's own scorer gives."""
    at, values = table(bench, "features", "FeatureVector", "values")
    answered_at, scores = table(bench, "predictions", "Prediction", "scores")
    if not np.array_equal(at, answered_at):
        raise NotRunError(f"{len(answered_at)} answers to {len(at)} feature vectors, or to others")
    if not np.allclose(scores, scorer.score(values), atol=1e-5):
        raise NotRunError("its scores are wrong")


def table(bench: Bench, role: str, schema: str, numbers: str) -> tuple[Ints, Floats32]:
    """Rows of numbers on a topic, sorted by the feature vector that they belong to: its partition and offset."""
    decoder = Decoder(current_schema(schema))
    places, rows = [], []
    for batch in everything(bench.bus, role):
        columns = decoder.decode([value for value in batch.values if value is not None]).columns
        partitions, offsets = columns.get("features_partition"), columns.get("features_offset")
        if not isinstance(partitions, np.ndarray) or not isinstance(offsets, np.ndarray):
            partitions, offsets = batch.partitions, batch.offsets
        values = columns[numbers]
        assert isinstance(values, Ragged)
        places.append(partitions.astype(np.int64) << 40 | offsets)
        rows.append(values.matrix(values.flat.size // len(values)))
    order = np.argsort(np.concatenate(places), kind="stable")
    return np.concatenate(places)[order], np.concatenate(rows)[order]


if __name__ == "__main__":
    main()
