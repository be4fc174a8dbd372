"""Events with the ids of a user's registry, as a person sees them: decoded, or as bytes with a word, and soon."""

import json
import threading
import time
from typing import Any

import pytest

from freshet.avro.written_schema import FoundSchema
from freshet.contracts.messages import PipelineRecord
from freshet.operate.foreign_ids import PATIENCE_S, WINDOW_S, ForeignIds, foreign_ids
from freshet.operate.records import Readable
from freshet.runtime.registry_client import RegistryError
from support.ingestion import SCHEMA, SPEC_TEXT, applied, framed, loan
from support.schema_registry import StandInRegistry

WIDER: dict[str, Any] = {**SCHEMA, "fields": [*SCHEMA["fields"], {"name": "note", "type": "string"}]}
OTHER = {"type": "record", "name": "Other", "fields": [{"name": "x", "type": "int"}]}


class Told:
    """A registry that is asked by hand: what it says of each id, how long that takes, and what it was asked."""

    def __init__(self, cost_s: float = 0.0) -> None:
        self.says: dict[int, FoundSchema | Exception] = {7: FoundSchema(json.dumps(WIDER))}
        self.asked: list[int] = []
        self.now_s, self._cost_s = 0.0, cost_s
        self.ids = ForeignIds("http://r", SCHEMA, find=self._find, now_s=lambda: self.now_s)

    def _find(self, registry: str, schema_id: int, known_login: str) -> FoundSchema:
        self.asked.append(schema_id)
        self.now_s += self._cost_s
        said = self.says.get(schema_id, FoundSchema(None))
        if isinstance(said, Exception):
            raise said
        return said


def shown(reader: Readable, value: bytes, role: str = "events") -> Any:
    """One value, decoded."""
    return reader.values(role, [value])[0]


def test_an_event_is_shown_as_ingestion_reads_it() -> None:
    """With the fields of event.avsc and no others; so is the value of a dead letter, and none of another topic."""
    registry = Told()
    reader = Readable({}, registry.ids)
    value = framed({**loan(event_id="f"), "note": "n"}, WIDER, 7)
    assert shown(reader, value)["event_id"] == "f"
    assert "note" not in shown(reader, value)
    assert shown(reader, value, "dead-letters") == shown(reader, value)
    assert "undecodable" in shown(reader, value, "predictions")
    assert registry.asked == [7]


def test_what_it_does_not_know_or_cannot_be_read_is_bytes_with_the_reason() -> None:
    """An unknown id, one whose schema does not fit, and one of `freshet apply` that it is never asked for."""
    registry = Told()
    registry.says[9] = FoundSchema(json.dumps(OTHER))
    reader = Readable({}, registry.ids)
    unknown, unfit, ours = (shown(reader, framed(loan(), identifier=known)) for known in (8, 9, 1 << 30))
    assert unknown["undecodable"] == "schema id 8 of http://r"
    assert unknown["detail"] == "the registry does not know this id."
    assert "Other" in unfit["detail"]
    assert ours["undecodable"] == "neither a known schema id nor JSON"
    assert unknown["hex"].startswith("0000000008")
    shown(reader, framed(loan(), identifier=8))
    assert registry.asked == [8, 9]
    registry.now_s = WINDOW_S
    registry.says[8] = FoundSchema(json.dumps(SCHEMA))  # somebody has registered it since
    assert shown(reader, framed(loan(event_id="e"), identifier=8))["event_id"] == "e"


def test_a_registry_that_is_away_is_asked_once_a_window() -> None:
    """The reason stands beside each record; once it answers again, events are decoded."""
    registry = Told()
    registry.says[7] = RegistryError("the registry does not answer.")
    reader, value = Readable({}, registry.ids), framed({**loan(event_id="f"), "note": "n"}, WIDER, 7)
    assert [shown(reader, value)["detail"] for _ in range(5)] == ["the registry does not answer."] * 5
    assert registry.asked == [7]
    registry.now_s, registry.says[7] = WINDOW_S, FoundSchema(json.dumps(WIDER))
    assert shown(reader, value)["event_id"] == "f"


def test_a_slow_registry_keeps_nobody_longer_than_that() -> None:
    """A producer of random ids cannot hold a person either: all ids together have one budget of time."""
    registry = Told(cost_s=PATIENCE_S / 4)
    assert not registry.ids.schemas(range(100, 200))
    assert len(registry.asked) == 4
    assert "slow" in registry.ids.why(199)


def test_one_that_never_answers_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread does not keep the process, and the wait ends on time."""
    monkeypatch.setattr("freshet.operate.foreign_ids.PATIENCE_S", 0.2)
    over = threading.Event()

    def find(registry: str, schema_id: int, known_login: str) -> FoundSchema:
        over.wait(30)
        return FoundSchema(None)

    ids, begin_s = ForeignIds("http://r", SCHEMA, find=find), time.monotonic()
    assert not ids.schemas([7])
    assert time.monotonic() - begin_s < 5
    assert "has not answered" in ids.why(7)
    over.set()


def test_the_newest_number_of_the_pipeline_names_the_registry() -> None:
    """Over HTTP, with the login of that server; a pipeline without one asks nobody."""

    def record(number: int, spec: str) -> PipelineRecord:
        made = applied(spec, number=number).message
        assert isinstance(made, PipelineRecord)
        return made

    with StandInRegistry().register(7, WIDER).running() as registry:
        records = [record(2, f"{SPEC_TEXT}\nregistry: {registry.url}\n"), record(1, SPEC_TEXT)]
        found = foreign_ids(records, registry.url.replace("http://", "http://me:pass@"))
        assert found is not None
        assert found.schemas([7]) == {7: WIDER}
        assert registry.asked[0].login is not None
    assert foreign_ids([record(1, SPEC_TEXT)], "") is None
    assert foreign_ids([], "") is None
