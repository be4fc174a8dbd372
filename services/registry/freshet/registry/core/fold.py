"""Facts to state. Every topic has its own part of the state, and each part is a join: facts of several topics commute.

Highest specification number, longest history of a version, first final phase of an epoch, newest beat of a worker: what
a record stands for is in the record, so the same fact twice changes nothing.
"""

from collections.abc import Iterator

from freshet.contracts.catalogue import Catalogue
from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Fact
from freshet.contracts.messages import (
    Candidate,
    Command,
    Decision,
    ModelVersion,
    PipelineRecord,
    Rollout,
    WorkerState,
)
from freshet.contracts.pipeline import PipelineSpec
from freshet.registry.core.policy import Policy
from freshet.registry.core.state import Asked, Beat, PipelineState, Rules, Waiting


class Pipelines:
    """The state of every pipeline that any fact has named."""

    def __init__(self, policies: Catalogue[Policy]) -> None:
        self._policies = policies
        self._states: dict[str, PipelineState] = {}

    def __iter__(self) -> Iterator[PipelineState]:
        """All pipelines, by name."""
        return iter([self._states[name] for name in sorted(self._states)])

    def fold(self, fact: Fact) -> None:
        """Take in one control record of any role that the registry follows or owns."""
        match fact.message:
            case PipelineRecord() as record:
                self._pipeline(self.state(record.pipeline), record)
            case Candidate() as candidate:
                _candidate(self.state(candidate.manifest.pipeline), candidate, fact.offset)
            case ModelVersion() as model:
                _model(self.state(model.pipeline), model)
            case Rollout() as rollout:
                _rollout(self.state(rollout.pipeline), rollout)
            case Command() as command:
                _command(self.state(command.pipeline), command, fact.offset)
            case Decision() as decision:
                _decision(self.state(decision.pipeline), decision)
            case WorkerState() as worker:
                _beat(self.state(worker.pipeline), fact, worker)
            case _:
                self._tombstone(fact)

    def state(self, pipeline: str) -> PipelineState:
        """The pipeline of that name, without anything known of it if no fact has named it."""
        return self._states.setdefault(pipeline, PipelineState(pipeline))

    def _pipeline(self, state: PipelineState, record: PipelineRecord) -> None:
        """Where the newest specification cannot be read, an older one does not stand in: the pipeline waits."""
        if state.rules is not None and state.rules.number > record.number:
            return
        try:
            spec = PipelineSpec.parse(record.spec)
            state.rules = Rules(record.number, spec, self._policies.find(spec.rollout.policy)())
        except ContractError as error:
            state.rules = Rules(record.number, trouble=str(error))

    def _tombstone(self, fact: Fact) -> None:
        """Only deleted pipelines, withdrawn candidates and forgotten workers have tombstones."""
        if fact.role == "workers":
            for state in self:
                state.beats.pop(fact.key, None)
        elif fact.role == "candidates":
            pipeline, _, digest = fact.key.rpartition("/")
            self.state(pipeline).candidates.pop(digest, None)
        elif fact.role == "pipelines":
            pipeline, _, number = fact.key.rpartition("/")
            rules = self.state(pipeline).rules
            if rules is not None and number == str(rules.number):
                self.state(pipeline).rules = None


def _candidate(state: PipelineState, candidate: Candidate, offset: int) -> None:
    """Publishing a digest again keeps its turn and renews the hint where its chunks are."""
    digest = candidate.manifest.digest
    if digest in state.judged:
        return
    before = state.candidates.get(digest)
    state.candidates[digest] = Waiting(min(offset, before.offset) if before else offset, candidate)


def _model(state: PipelineState, record: ModelVersion) -> None:
    key = record.version or record.manifest.digest
    before = state.models.get(key)
    if before is None or len(before.history) <= len(record.history):
        state.models[key] = record
    state.judged.add(record.manifest.digest)
    state.candidates.pop(record.manifest.digest, None)


def _rollout(state: PipelineState, rollout: Rollout) -> None:
    """Live and aborted are final: whatever else claims the number later is not believed."""
    before = state.rollouts.get(rollout.epoch)
    if before is None or before.phase == "prepare":
        state.rollouts[rollout.epoch] = rollout


def _command(state: PipelineState, command: Command, offset: int) -> None:
    """The first record of a command id is the command; later ones are repeats."""
    if command.command_id not in state.answered:
        state.commands.setdefault(command.command_id, Asked(offset, command))


def _decision(state: PipelineState, decision: Decision) -> None:
    if decision.about == "command":
        state.answered.add(decision.subject)
        state.commands.pop(decision.subject, None)
    elif decision.about == "candidate" and decision.verdict == "refused":
        # its models record says so as well, unless that was too large to be written
        state.judged.add(decision.subject)
        state.candidates.pop(decision.subject, None)


def _beat(state: PipelineState, fact: Fact, worker: WorkerState) -> None:
    """Workers on other lanes answer nobody, so nothing here waits for them."""
    before = state.beats.get(fact.key)
    newer = before is None or (before.timestamp_ms, before.offset) <= (fact.timestamp_ms, fact.offset)
    if worker.lane == "serve" and newer:
        state.beats[fact.key] = Beat(fact.timestamp_ms, fact.offset, worker)
