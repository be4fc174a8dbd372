"""The loans pipeline after it has answered events whose labels have come: for tests of what can be read of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from freshet.contracts.shipped import pipelines_dir
from freshet.lab.demo import loans
from freshet.lab.demo.training import train_and_pack
from freshet.lab.local_deployment import LocalDeployment
from freshet.operate.tables.features import feature_rows


@contextmanager
def answered_loans(kafka: str, namespace: str, folder: Path, rows: int) -> Iterator[LocalDeployment]:
    """All services with version 1.0.0; `rows` events, a multiple of 200, are answered, labelled and evaluated."""
    with LocalDeployment(kafka, namespace, pipelines_dir() / "loans", folder, workers=1) as made:
        made.apply()
        made.start()
        values, truths = feature_rows(made.spec, made.schema, loans.sample(made.schema, 600, seed=1))
        trained = train_and_pack("linear", values, truths, made.spec)
        made.wait_live(made.offer(trained.bundle.data, trained.bundle.manifest).version)
        load = made.load(rate=2000.0, labels_after=rows)
        *_, sent = load.publish(islice(loans.Applications(made.schema, seed=2), rows // 200))
        made.wait_drained()  # a label that is there before its prediction measures nothing
        load.send_last_labels(sent)
        made.wait_drained()
        made.wait_evaluated()
        yield made
