"""What tests of single services and commands begin with; a file may go on from it under the same name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from freshet.contracts.shipped import pipelines_dir
from freshet.lab.local_deployment import LocalDeployment


@pytest.fixture
def stage(kafka: str, namespace: str, tmp_path: Path) -> Iterator[LocalDeployment]:
    """The loans pipeline, applied; no service runs yet."""
    with LocalDeployment(kafka, namespace, pipelines_dir() / "loans", tmp_path / "logs", workers=1) as made:
        made.apply()
        yield made
