"""What the registry adds to the ledger of a pipeline: its rules as parsed, and the candidates that wait for a verdict.

Both follow from facts alone, and facts of several topics may come in any order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Fact
from freshet.contracts.messages import Candidate, Command, ModelVersion, PipelineRecord, WorkerState
from freshet.ledger.ledger import Ledger, PipelineLedger, pipeline_of
from freshet.ledger.manifest_id import manifest_id
from freshet.ledger.room import Room
from freshet.pipeline import PipelineSpec
from freshet.pipeline.catalogue import Catalogue
from freshet.registry.core import short_text
from freshet.registry.core.policy import Policy
from freshet.trust.pipeline_trust import PipelineTrust, TrustBook


@dataclass(frozen=True, slots=True)
class Rules:
    """What a pipeline's newest specification asks of the registry."""

    number: int
    spec: PipelineSpec | None = None
    policy: Policy | None = None
    trouble: str = ""
    """Why spec and policy are missing: the specification cannot be read."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A candidate whose newest record has no verdict; `offsets` are those of its records without one, in order."""

    offsets: tuple[int, ...]
    candidate: Candidate


@dataclass(slots=True)
class PipelineState:
    """One pipeline as the registry knows it."""

    ledger: PipelineLedger
    trust: PipelineTrust
    rules: Rules | None = None
    candidates: dict[str, Waiting] = field(default_factory=dict)
    """Candidates that ask for something, by manifest id."""
    _room: Room[str] = field(default_factory=Room)
    """Of those that no trusted builder has signed, where that is demanded."""

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.ledger.name

    def ask(self, candidate: Candidate, offset: int) -> None:
        """Publishing a candidate again keeps its turn, renews where its chunks are, and asks for a new verdict."""
        identity, candidate = manifest_id(candidate.manifest), _with_sound_hint(candidate)
        before = self.candidates.get(identity)
        if not self._has_room(identity, candidate):
            if before is not None:
                self._has_room(identity, before.candidate)
            return
        offsets = {offset, *(before.offsets if before else ())}
        newest = candidate if before is None or offset >= before.offsets[-1] else before.candidate
        self.candidates[identity] = Waiting(tuple(sorted(offsets)), newest)
        self.drop_answered(identity)

    def _has_room(self, identity: str, candidate: Candidate) -> bool:
        """Whether it may wait. Those that will be refused come in as many as there is room for."""
        self._room.free(identity)
        if self.trust.of_manifest(candidate.manifest, candidate.signatures) is None:
            return True
        self._room.charge(identity, candidate)
        if self._room.full:
            self._room.free(identity)
            return False
        return True

    def bound(self) -> None:
        """Signatures are demanded from now on, or not: candidates for which there is no room are forgotten."""
        for identity, waiting in list(self.candidates.items()):
            if not self._has_room(identity, waiting.candidate):
                del self.candidates[identity]

    def drop_answered(self, identity: str) -> None:
        """Forget a candidate's records that have a verdict, and those of a version that tell nothing new about it."""
        waiting = self.candidates.pop(identity, None)
        if waiting is None:
            return
        versions = self.ledger.versions
        open_offsets = tuple(offset for offset in waiting.offsets if offset > versions.judged.get(identity, -1))
        version = versions.admitted_as.get(identity)
        known = version is not None and not _tells_more(waiting.candidate, versions.records[version])
        if open_offsets and not known:
            self.candidates[identity] = Waiting(open_offsets, waiting.candidate)
        else:
            self._room.free(identity)

    def withdraw(self, digest: str) -> None:
        """Candidates with this artifact have a tombstone."""
        for identity, waiting in list(self.candidates.items()):
            if waiting.candidate.manifest.digest == digest:
                del self.candidates[identity]
                self._room.free(identity)


class Pipelines:
    """The state of every pipeline that any fact has named."""

    def __init__(self, policies: Catalogue[Policy], trust: TrustBook) -> None:
        self._policies, self._trust = policies, trust
        self._ledger = Ledger(vouching=trust.of)
        self._states: dict[str, PipelineState] = {}

    def __iter__(self) -> Iterator[PipelineState]:
        """All pipelines, by name."""
        return iter([self.state(ledger.name) for ledger in self._ledger])

    def state(self, pipeline: str) -> PipelineState:
        """The pipeline of that name, without anything known of it if no fact has named it."""
        return self._states.setdefault(pipeline, PipelineState(self._ledger.of(pipeline), self._trust.of(pipeline)))

    def fold(self, fact: Fact) -> None:
        """Take in one control record of any role that the registry follows or owns.

        One about a pipeline whose name is longer than any pipeline's is about none, and a registry's own beat neither.
        """
        if fact.message is not None:
            self.take_number(fact.role, fact.key)
        pipeline = pipeline_of(fact)
        if len(pipeline) > short_text.NAME_BYTES or (isinstance(fact.message, WorkerState) and not pipeline):
            return
        fact = _short(fact)
        self._ledger.fold(fact)
        match fact.message:
            case PipelineRecord() as record if self._ledger.of(pipeline).specification is record:
                self.state(pipeline).rules = rules = self._rules(record)
                if rules.spec is not None:
                    self._trust.of(pipeline).follow(demanded=rules.spec.trust == "required", life=record.life)
                    self._ledger.of(pipeline).reconsider()
                    self.state(pipeline).bound()
            case Candidate() as candidate:
                self.state(pipeline).ask(candidate, fact.offset)
            case ModelVersion() as model:
                self.state(pipeline).drop_answered(model.manifest_id or manifest_id(model.manifest))
            case None if fact.role == "candidates":
                self.state(pipeline).withdraw(fact.key.rpartition("/")[2])
            case None if fact.role == "pipelines" and self._ledger.of(pipeline).specification is None:
                self.state(pipeline).rules = None

    def reread(self, fact: Fact) -> None:
        """A record on our own topics, ours or a stranger's: its number is taken, and nothing else of it counts.

        Ours of a deleted pipeline may come when they are forgotten. Their tombstones follow, and free the numbers.
        """
        if fact.message is not None:
            self.take_number(fact.role, fact.key)
        elif fact.role in ("models", "rollouts") and (pipeline := pipeline_of(fact)):
            self._ledger.of(pipeline).free_numbers()

    def take_number(self, role: str, key: str) -> None:
        """See `Ledger`. The key may be of another pipeline than the record is about."""
        if len(key) <= 2 * short_text.NAME_BYTES:
            self._ledger.take_number(role, key)

    def _rules(self, record: PipelineRecord) -> Rules:
        """Where the newest specification cannot be read, an older one does not stand in: the pipeline waits."""
        try:
            spec = PipelineSpec.parse(record.spec)
            return Rules(record.number, spec, self._policies.find(spec.rollout.policy)())
        except ContractError as error:
            return Rules(record.number, trouble=str(error))


def _tells_more(candidate: Candidate, record: ModelVersion) -> bool:
    """Whether a version that was published again lies elsewhere now, or bears other signatures."""
    hint, signatures = candidate.chunk_offsets, candidate.signatures
    return bool(hint and hint != record.chunk_offsets) or bool(signatures and signatures != record.signatures)


def _with_sound_hint(candidate: Candidate) -> Candidate:
    """The same without a hint that cannot be one: an offset for each chunk, none below 0."""
    offsets = candidate.chunk_offsets
    if len(offsets) == len(candidate.manifest.chunk_digests) and min(offsets, default=0) >= 0:
        return candidate
    return candidate.model_copy(update={"chunk_offsets": ()})


def _short(fact: Fact) -> Fact:
    """The fact with no more than the registry needs: of refusals there may be many, and commands may be long."""
    match fact.message:
        case Command() as command:
            return replace(fact, message=short_text.short(command))
        case ModelVersion(version="") as refusal:
            identity, bare = refusal.manifest_id or manifest_id(refusal.manifest), short_text.bare(refusal.manifest)
            changes = {"manifest": bare, "manifest_id": identity, "chunk_offsets": (), "history": ()}
            return replace(fact, message=refusal.model_copy(update=changes))
        case _:
            return fact
