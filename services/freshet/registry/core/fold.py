"""Facts to state. Every topic has its own part of the state, and each part is a join: facts of several topics commute.

Highest specification number, longest history of a version, first final phase of an epoch, newest beat of a worker: what
a record stands for is in the record, so the same fact twice changes nothing.
"""

from collections.abc import Iterator

from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Fact
from freshet.contracts.messages import (
    Candidate,
    Command,
    Decision,
    Message,
    ModelVersion,
    PipelineRecord,
    Rollout,
    WorkerState,
)
from freshet.ledger.manifest_id import manifest_id
from freshet.pipeline import PipelineSpec
from freshet.pipeline.catalogue import Catalogue
from freshet.registry.core import text
from freshet.registry.core.policy import Policy
from freshet.registry.core.state import Asked, Beat, BeatClock, PipelineState, Rules, Waiting


class Pipelines:
    """The state of every pipeline that any fact has named."""

    def __init__(self, policies: Catalogue[Policy]) -> None:
        self._policies = policies
        self._states: dict[str, PipelineState] = {}
        self._clock = BeatClock()

    def __iter__(self) -> Iterator[PipelineState]:
        """All pipelines, by name."""
        return iter([self._states[name] for name in sorted(self._states)])

    def fold(self, fact: Fact) -> None:
        """Take in one control record of any role that the registry follows or owns.

        One about a pipeline whose name is longer than any pipeline's is about none.
        """
        if len(_pipeline_of(fact.message)) > text.NAME_BYTES:
            return
        match fact.message:
            case PipelineRecord() as record:
                self._pipeline(self.state(record.pipeline), record)
            case Candidate() as candidate:
                _candidate(self.state(candidate.manifest.pipeline), candidate, fact.offset)
            case ModelVersion() as model:
                _model(self.state(model.pipeline), model)
            case Rollout() as rollout:
                self.state(rollout.pipeline).take_rollout(rollout, fact.timestamp_ms)
            case Command() as command:
                _command(self.state(command.pipeline), text.short(command), fact.offset)
            case Decision() as decision:
                _decision(self.state(decision.pipeline), decision)
            case WorkerState(pipeline=""):
                pass  # a registry's own: it serves no pipeline
            case WorkerState() as worker:
                self._clock.newest_ms = max(self._clock.newest_ms, fact.timestamp_ms)
                _beat(self.state(worker.pipeline), fact, worker)
            case _:
                self._tombstone(fact)

    def state(self, pipeline: str) -> PipelineState:
        """The pipeline of that name, without anything known of it if no fact has named it."""
        return self._states.setdefault(pipeline, PipelineState(pipeline, self._clock))

    def _pipeline(self, state: PipelineState, record: PipelineRecord) -> None:
        """Where the newest specification cannot be read, an older one does not stand in: the pipeline waits."""
        if state.rules is not None and state.rules.number > record.number:
            return
        state.deleted = False
        try:
            spec = PipelineSpec.parse(record.spec)
            state.rules = Rules(record.number, spec, self._policies.find(spec.rollout.policy)())
        except ContractError as error:
            state.rules = Rules(record.number, trouble=str(error))

    def _tombstone(self, fact: Fact) -> None:
        """Only withdrawn candidates, forgotten workers and deleted pipelines have tombstones.

        The versions and epochs of a pipeline are forgotten all at once or not at all, in one transaction of ours.
        """
        if fact.role == "workers":
            for state in self:
                state.beats.pop(fact.key, None)
        elif fact.role == "candidates":
            pipeline, _, digest = fact.key.rpartition("/")
            candidates = self.state(pipeline).candidates
            for identity, waiting in list(candidates.items()):
                if waiting.candidate.manifest.digest == digest:
                    del candidates[identity]
        elif fact.role == "pipelines":
            pipeline, _, number = fact.key.rpartition("/")
            state = self.state(pipeline)
            if state.rules is None or number == str(state.rules.number):
                state.rules, state.deleted = None, True
        elif fact.role == "models":
            self.state(fact.key.rpartition("/")[0]).forget_models()
        elif fact.role == "rollouts":
            self.state(fact.key.rpartition("/")[0]).forget_rollouts()


def _pipeline_of(message: Message | None) -> str:
    named = message.manifest if isinstance(message, Candidate) else message
    return getattr(named, "pipeline", "")


def _candidate(state: PipelineState, candidate: Candidate, offset: int) -> None:
    """Publishing a candidate again keeps its turn, renews the hint where its chunks are, and asks for a new verdict."""
    identity = manifest_id(candidate.manifest)
    before = state.candidates.get(identity)
    offsets = {offset, *(before.offsets if before else ())}
    newest = candidate if before is None or offset >= before.offsets[-1] else before.candidate
    state.candidates[identity] = Waiting(tuple(sorted(offsets)), newest)
    _drop_answered(state, identity)


def _model(state: PipelineState, record: ModelVersion) -> None:
    identity = record.manifest_id or manifest_id(record.manifest)
    state.judged[identity] = max(state.judged.get(identity, -1), record.candidate_offset)
    if record.version:
        state.take_model(record)
        state.admitted_as[identity] = record.version
    else:
        state.refused.add(identity)
    _drop_answered(state, identity)


def _drop_answered(state: PipelineState, identity: str) -> None:
    """Forget a candidate's records that have a verdict, and those of a version that tell nothing new about it."""
    waiting = state.candidates.pop(identity, None)
    if waiting is None:
        return
    open_offsets = tuple(offset for offset in waiting.offsets if offset > state.judged.get(identity, -1))
    version = state.admitted_as.get(identity)
    known = version is not None and state.models[version].chunk_offsets == waiting.candidate.chunk_offsets
    if open_offsets and not known:
        state.candidates[identity] = Waiting(open_offsets, waiting.candidate)


def _command(state: PipelineState, command: Command, offset: int) -> None:
    """The first record of a command id is the command; later ones repeat it, or say an earlier end: a withdrawal."""
    if command.command_id in state.answered:
        return
    asked = state.commands.setdefault(command.command_id, Asked(offset, command))
    first = asked if asked.offset <= offset else Asked(offset, command)
    expires_at_ms = min(asked.command.expires_at_ms, command.expires_at_ms)
    shortened = first.command.model_copy(update={"expires_at_ms": expires_at_ms})
    state.commands[command.command_id] = Asked(first.offset, shortened)


def _decision(state: PipelineState, decision: Decision) -> None:
    if decision.about == "command":
        state.answered.add(decision.subject)
        state.commands.pop(decision.subject, None)


def _beat(state: PipelineState, fact: Fact, worker: WorkerState) -> None:
    """The offset alone says which is newer. Who answers nobody is not waited for: other services, other lanes."""
    before = state.beats.get(fact.key)
    newer = before is None or before.offset <= fact.offset
    if worker.service == "inference" and worker.lane == "serve" and newer:
        state.beats[fact.key] = Beat(fact.timestamp_ms, fact.offset, worker)
