"""Models that are trained once, and trials on the session's Kafka."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from freshet.contracts.shipped import pipelines_dir
from freshet.lab.demo import loans
from freshet.lab.demo.training import train
from freshet.models.bundle import Bundle
from freshet.models.packing import pack
from freshet.operate.tables.features import feature_rows
from freshet.pipeline import load_folder
from support.faults import Trial


@pytest.fixture(scope="session")
def models() -> list[Bundle]:
    """Four models, each trained on other applications."""
    spec, _, schema = load_folder(pipelines_dir() / "loans")
    bundles = []
    for seed in range(1, 5):
        rows, labels = feature_rows(spec, schema, loans.sample(schema, 1000, seed))
        bundles.append(pack(train("linear", rows, labels), rows, spec).bundle)
    return bundles


@pytest.fixture
def trial(kafka: str, namespace: str, tmp_path: Path) -> Iterator[Callable[..., Trial]]:
    """Makes a trial on the session's Kafka, and ends it; options as for `Trial`."""
    with ExitStack() as stack:

        def made(**options: Any) -> Trial:
            return stack.enter_context(Trial(kafka, namespace, tmp_path, **options))

        yield made
