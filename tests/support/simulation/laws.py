"""What must hold at the end of every run, and of all the registries committed on the way."""

from collections import Counter

from freshet.contracts.messages import Decision, PipelineRecord, Rollout
from freshet.operate.verify.collect import collect
from freshet.operate.verify.judge import judge
from support.registry import PIPELINE
from support.simulation.world import INPUTS, World


class BrokenError(Exception):
    """A promise is broken."""


class Laws:
    """Follows the control topics of one run; compaction may take what was seen."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._epochs: dict[int, Rollout] = {}
        self._specifications: dict[int, PipelineRecord] = {}

    def look(self) -> None:
        """Take in rollouts and specifications as they are now; call it before any is compacted away."""
        for record in self._world.messages("pipelines"):
            assert isinstance(record, PipelineRecord)
            if self._specifications.setdefault(record.number, record) != record:
                raise BrokenError(f"two specifications have the number {record.number}")
        for message in self._world.messages("rollouts"):
            assert isinstance(message, Rollout)
            known = self._epochs.setdefault(message.epoch, message)
            if known.phase != "prepare" and message.phase not in {known.phase, "prepare"}:
                raise BrokenError(f"epoch {message.epoch} was {known.phase} and became {message.phase}")
            if message != known.model_copy(update={"phase": message.phase}):
                raise BrokenError(f"epoch {message.epoch} has two contents: {known} and {message}")
            if known.phase == "prepare":
                self._epochs[message.epoch] = message

    def at_the_end(self) -> None:
        """Judge what was committed, when all trouble is over and everybody had the time to answer."""
        world = self._world
        self.look()
        if world.where.faults:
            raise BrokenError(f"a registry could not decide: {world.where.faults[0]}")
        if not world.drained():
            raise BrokenError(f"no progress: {self._waiting()}")
        decided = Counter(
            message.subject
            for message in world.messages("decisions")
            if isinstance(message, Decision) and message.about == "command"
        )
        wrong = {command: decided[command] for command in world.commands if decided[command] != 1}
        if wrong:
            raise BrokenError(f"commands without exactly one decision: {wrong}")
        prepares = [epoch for epoch, rollout in self._epochs.items() if rollout.phase == "prepare"]
        if len(prepares) > 1:
            raise BrokenError(f"{prepares} are prepared at once")
        judgement = judge(collect(world.bus, PIPELINE, world.committed))
        broken = [finding for finding in judgement.findings if not finding.ok]
        if broken or judgement.pending:
            raise BrokenError("; ".join(map(str, broken)) or f"{judgement.pending} inputs have no answer")

    def _waiting(self) -> str:
        world = self._world
        inputs = {
            role: {
                partition: (at.offset, world.bus.spans(role)[partition].end)
                for partition, at in world.committed(service, role).items()
            }
            for service, role in INPUTS
        }
        states = {process.name: process.loop.unready() if process.loop else process.said for process in world.processes}
        return f"(committed, end) of {inputs}; {states}"
