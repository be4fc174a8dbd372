"""Tables of all kinds through everything that a newcomer types: what stands on the topics is the model's own answer."""

import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Final

import pytest

from freshet.operate.connection import connect
from freshet.operate.deletion import delete_namespace
from freshet.runtime.settings import load_settings
from support import tables
from support.shell import Shell
from support.table_story import Place, answered_as_its_model_answers

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(300)]

AT_ONCE: Final = 3  # tables; two thirds of a story is waiting for Kafka


@pytest.fixture(scope="module")
def place(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """`pipeline new` for every table, and one `freshet up` for all of the pipelines."""
    found = Place(tmp_path_factory.mktemp("tables"), kafka, f"t{secrets.token_hex(3)}.")
    for case in (make() for make in tables.CASES):
        table = tables.write(case, found.folder)
        folder = found.folder / "pipelines" / case.name
        found.freshet("pipeline", "new", case.name, "--csv", table, "--label", case.label, "--dir", folder)
        spec = folder / "pipeline.yaml"
        spec.write_text(spec.read_text(encoding="utf-8") + "\npartitions: 2\n", encoding="utf-8")
    shell = Shell(found.folder)
    shell.begin("up", "pipelines", "--bootstrap", kafka, "--namespace", found.namespace)
    try:
        yield found
    finally:
        codes = shell.end()
        delete_namespace(connect(load_settings(kafka, namespace=found.namespace)))
    assert codes == {"pipelines": 0}, found.log.read_text()


@pytest.fixture(scope="module")
def stories(place: Place) -> Iterator[Mapping[str, Future[None]]]:
    """Every table's story, some at once, as soon as its pipeline is applied; all services become ready meanwhile."""
    names = sorted(make().name for make in tables.CASES)  # so they are applied
    with ProcessPoolExecutor(AT_ONCE, get_context("spawn")) as pool:
        try:
            told = {name: pool.submit(answered_as_its_model_answers, place, name) for name in names}
            place.wait_for("Ctrl-C ends all.")
            yield told
        finally:
            pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("make", tables.CASES, ids=lambda make: make.__name__)
def test_a_table_is_answered_as_its_model_answers(stories: Mapping[str, Future[None]], make: Any) -> None:
    """What was asserted on the way of its story is raised here."""
    stories[make().name].result()
