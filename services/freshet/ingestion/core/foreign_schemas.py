"""Schema ids of a user's own registry: asked for once, kept for ever, and why those that are of no use are refused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from freshet.avro.own_schemas import Schema, may_be_event_id
from freshet.avro.reasons import DecodeReason
from freshet.avro.rows import RefusedRow
from freshet.avro.written_schema import FoundSchema, UnfitSchemaError, read_written
from freshet.contracts.logic import Job, Outcome

AT_ONCE: Final = 8
"""So many ids are asked for at the same time; only one while the registry is in trouble."""
_ASKS: Final = 3
"""So often a registry must deny an id: a follower of a registry's leader may be a moment behind."""
_ASK_AGAIN_MS: Final = 1000
_BELIEVED_MS: Final = 60_000
"""After so long an id that was unknown is asked for once more: somebody may have registered it."""
_MOST_UNKNOWN: Final = 200
"""With so many unknown ids, no further one is asked for: a producer of random ids must not hold its partitions."""
_LONGEST_PAUSE_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class AskForSchema(Job[FoundSchema]):
    """Ask the registry at this address for the schema of an id."""

    registry: str
    schema_id: int

    limit_s: ClassVar[float] = 120.0

    @property
    def queue(self) -> str:
        """One for each id."""
        return f"schema {self.schema_id}"


@dataclass(slots=True)
class _Question:
    """An id that is asked for: how often it was denied, when to ask next, and whether the request is under way."""

    denied: int = 0
    not_before_ms: int = 0
    open: bool = False


class ForeignSchemas:
    """What is known of one registry's ids. While it does not answer, partitions wait: nothing is refused."""

    def __init__(self, registry: str = "") -> None:
        """`registry` is its address; without one nothing is asked and nothing waits."""
        self.registry = registry
        self._reader: Schema = {}
        self._now_ms = 0
        self._found: dict[int, FoundSchema] = {}
        self._writers: dict[int, Schema] = {}
        self._unfit: dict[int, str] = {}
        self._unknown: dict[int, int] = {}  # since when
        self._denied_once: set[int] = set()
        self._questions: dict[int, _Question] = {}
        self._met: dict[tuple[str, int], frozenset[int]] = {}
        self._trouble, self._failures, self._pause_ends_ms = "", 0, 0

    @property
    def writers(self) -> Mapping[int, Schema]:
        """The schemas found so far that the pipeline's event schema can read, by id."""
        return self._writers

    def follow(self, reader: Schema) -> None:
        """A record with this event schema is in force: found schemas are judged anew, unknown ids asked anew."""
        self._reader = reader
        self._unknown.clear()
        self._met.clear()
        self._writers, self._unfit = {}, {}
        for schema_id, found in self._found.items():
            self._judge(schema_id, found)

    def worth_waiting(self, schema_id: int) -> bool:
        """Whether the registry may know this id, and has not been asked in vain. Ids of `freshet apply` are not its."""
        if not self.registry or may_be_event_id(schema_id) or schema_id in self._unfit:
            return False
        return schema_id not in self._unknown and len(self._unknown) < _MOST_UNKNOWN

    def wait(self, role: str, partition: int, schema_ids: Iterable[int]) -> None:
        """The partition waits for all of these ids."""
        self._met[role, partition] = frozenset(schema_ids)
        for schema_id in sorted(self._met[role, partition]):
            self._questions.setdefault(schema_id, _Question())

    def waits(self, role: str, partition: int) -> str:
        """Why the partition waits; empty when it does not."""
        open_ids = self._met.get((role, partition), frozenset()) & self._questions.keys()
        if not open_ids:
            return ""
        some = ", ".join(map(str, sorted(open_ids)[:5]))
        return f"events with schema id {some}: " + (self._trouble or f"asking the schema registry {self.registry}.")

    def forget(self, role: str, partition: int) -> None:
        """The partition starts anew, or is no longer ours."""
        self._met.pop((role, partition), None)

    def due(self, now_ms: int) -> list[AskForSchema]:
        """Time passed: what to ask now."""
        self._now_ms = now_ms
        for schema_id in [known for known, since_ms in self._unknown.items() if now_ms - since_ms >= _BELIEVED_MS]:
            del self._unknown[schema_id]
        wanted = frozenset().union(*self._met.values())
        if len(self._unknown) >= _MOST_UNKNOWN:
            wanted = frozenset()
        self._questions = {of: asked for of, asked in self._questions.items() if asked.open or of in wanted}
        if now_ms < self._pause_ends_ms:
            return []
        under_way = sum(question.open for question in self._questions.values())
        room = (1 if self._trouble else AT_ONCE) - under_way
        ready = [of for of, asked in self._questions.items() if not asked.open and now_ms >= asked.not_before_ms]
        asked_now = ready[: max(room, 0)]
        for schema_id in asked_now:
            self._questions[schema_id].open = True
        return [AskForSchema(self.registry, schema_id) for schema_id in asked_now]

    def on_answer(self, outcome: Outcome[FoundSchema]) -> None:
        """An id has its answer, or the registry is in trouble."""
        job = outcome.job
        assert isinstance(job, AskForSchema)
        question = self._questions.get(job.schema_id)
        if job.registry != self.registry or question is None:
            return
        question.open = False
        if outcome.result is None:
            self._failures += 1
            pause_ms = min(500 * 2 ** min(self._failures, 10), _LONGEST_PAUSE_MS)
            self._pause_ends_ms = self._now_ms + pause_ms
            self._trouble = f"{outcome.error} It is asked again in {pause_ms / 1000:.0f} s, and events wait."
            return
        self._trouble, self._failures = "", 0
        if outcome.result.text is None:
            self._deny(job.schema_id, question)
            return
        del self._questions[job.schema_id]
        self._found[job.schema_id] = outcome.result
        self._judge(job.schema_id, outcome.result)

    def explained(self, row: RefusedRow) -> RefusedRow:
        """The row with what the registry said of its id, if it was refused for its id."""
        schema_id = row.schema_id
        if row.reason != DecodeReason.UNKNOWN_SCHEMA or not self.registry or schema_id is None:
            return row
        if schema_id in self._unfit:
            return row._replace(reason=DecodeReason.UNFIT_SCHEMA, detail=self._unfit[schema_id])
        if may_be_event_id(schema_id):
            return row
        if schema_id in self._unknown:
            return row._replace(detail=f"the schema registry {self.registry} does not know schema id {schema_id}.")
        why = f"{_MOST_UNKNOWN} other ids were unknown to {self.registry} lately, so it was not asked for {schema_id}."
        return row._replace(detail=why)

    def _deny(self, schema_id: int, question: _Question) -> None:
        question.denied += 1
        if question.denied < _ASKS and schema_id not in self._denied_once and len(self._unknown) < _ASKS:
            question.not_before_ms = self._now_ms + _ASK_AGAIN_MS
            return
        del self._questions[schema_id]
        self._unknown[schema_id] = self._now_ms
        if len(self._denied_once) < _MOST_UNKNOWN:
            self._denied_once.add(schema_id)

    def _judge(self, schema_id: int, found: FoundSchema) -> None:
        try:
            self._writers[schema_id] = read_written(found, self._reader)
        except UnfitSchemaError as error:
            self._unfit[schema_id] = f"schema id {schema_id} of {self.registry} cannot be used: {error}"
