"""What the control topics say: one fold for everybody who reads them, and all questions about it."""

import copy
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import takewhile
from typing import Final

from freshet.contracts.logic import Fact
from freshet.contracts.messages import (
    Candidate,
    Command,
    Cutover,
    Decision,
    ModelVersion,
    PipelineRecord,
    Rollout,
    WorkerState,
)
from freshet.ledger.cutovers import Cutovers
from freshet.ledger.decisions import Commands
from freshet.ledger.disbelieved import DisbelievedEpochs
from freshet.ledger.doubted_versions import DoubtedVersions
from freshet.ledger.epochs import Epochs, named_by, understudy
from freshet.ledger.meddling import written_again, written_over
from freshet.ledger.predecessors import Predecessors
from freshet.ledger.versions import Versions
from freshet.ledger.vouching import BelieveAll, Disbelieved, Vouching
from freshet.ledger.workers import Beat, BeatClock, Workers

_NUMBER_DIGITS: Final = 19  # of a long, which an epoch is


class PipelineLedger:
    """One pipeline as the control topics tell it.

    Facts of different topics may come in any order, and the same fact twice changes nothing but the list of cut-overs.
    Facts about other pipelines are left out. `alarm` is a sentence once the topics contradict themselves: somebody
    decided twice. The last record of a key is in force then, since that is what compaction leaves for whoever starts
    later (decision 24).
    """

    def __init__(
        self, name: str, clock: BeatClock | None = None, vouching: Vouching | None = None, *, whole: bool = True
    ) -> None:
        """`clock` is shared by the pipelines whose workers are compared with each other.

        An epoch that `vouching` speaks against does not count; without it, all do. `whole`: see `DisbelievedEpochs`.
        """
        self.name = name
        self._vouching = vouching or BelieveAll()
        self.disbelieved = DisbelievedEpochs(whole=whole)
        self.meddled = ""
        """What a stranger did to a known epoch where signatures are demanded, first; until another one is live."""
        self.specifications: dict[int, PipelineRecord] = {}
        """By number; events of each of them may still be read."""
        self.specification: PipelineRecord | None = None
        """The one with the highest number."""
        self.deleted = False
        """Whether somebody has withdrawn the newest specification: what is known of the pipeline is to be forgotten."""
        self.epochs = Epochs(name)
        self.versions = Versions(name)
        self.doubted = DoubtedVersions(self.versions, self._vouching)
        self.commands = Commands(name)
        self.workers = Workers(clock or BeatClock())
        self.cutovers = Cutovers()
        self._predecessors = Predecessors()

    @property
    def alarm(self) -> str:
        """The last contradiction, for a person; empty while there is none."""
        return self.epochs.alarm or self.versions.alarm or self.commands.alarm or self.disbelief()

    def disbelief(self) -> str:
        """Which epoch would be in force if it were believed, and why it is not; empty if there is none."""
        ahead = self.disbelieved.above(self.epochs.live_epoch)
        if ahead is None:
            return ""
        told = f"epoch {ahead.record.epoch} of {self.name} is not believed: {ahead.doubt.why}"
        dropped = self.disbelieved.dropped
        return told if not dropped else f"{told} {dropped:,} more were not kept: only a restart would judge them again."

    @property
    def life(self) -> str:
        """Which life of the pipeline this is; empty if nobody has said."""
        return self.specification.life if self.specification else ""

    @property
    def next_epoch(self) -> int:
        """A number that was given to no epoch, also if a stranger has written over records of epochs.

        Where signatures are demanded it is above all that workers show, too: a tombstone leaves not even the key.
        """
        return self.epochs.free_above(self.workers.highest_epoch() if self._vouching.required else 0)

    def free_numbers(self) -> None:
        """A deletion took what is on the topics: numbers that nothing else is known of are free again."""
        self.versions.free_numbers()
        self.epochs.free_numbers()

    def fold(self, fact: Fact) -> None:
        """Take in one control record."""
        if fact.message is None:
            self._forget(fact)
        elif pipeline_of(fact) == self.name:
            self._take(fact)

    def _take(self, fact: Fact) -> None:
        match fact.message:
            case Rollout() as rollout:
                self._consider(rollout, fact.timestamp_ms)
            case ModelVersion() as model:
                self._place([self.doubted.fold(model)])
            case PipelineRecord() as record:
                self._specify(record)
            case Command() as command if command.action != "retrain":  # retraining answers those, by a training
                self.commands.ask(command, fact.offset, fact.timestamp_ms)
            case Decision() as decision:
                self.commands.decide(decision)
            case WorkerState() as worker:
                self.workers.fold(fact.key, Beat(fact.timestamp_ms, fact.offset, worker))
            case Cutover() as cut:
                self.cutovers.fold(cut, fact.timestamp_ms)

    def _consider(self, rollout: Rollout, timestamp_ms: int) -> None:
        known, live = self.epochs.records.get(rollout.epoch), self.epochs.live_epoch
        if doubt := self._vouching.against_epoch(rollout):
            self.disbelieved.add(Disbelieved(rollout, timestamp_ms, doubt))
            if known is not None and doubt.standing == "refused":
                self.meddled = self.meddled or written_over(self.name, rollout.epoch, doubt.why)
            return
        self.disbelieved.discard(rollout.epoch)
        self._place(self.epochs.fold(rollout, timestamp_ms, vouched=self._vouching.required))
        if self.epochs.live_epoch > live:
            self.meddled = ""
        elif self._vouching.required and known is not None and self.epochs.records[rollout.epoch] is known:
            self.meddled = self.meddled or written_again(self.name, rollout.epoch)

    def reconsider(self) -> None:
        """Ask again about the epochs that were not believed, and about versions. No epoch is ever taken back."""
        self._place(self.doubted.reconsider())
        for known in self.disbelieved:
            self._consider(known.record, known.timestamp_ms)

    def against(self, version: str) -> str:
        """Why no new epoch may name this version, for want of a signature; empty if one may, or if there is none."""
        record = self.versions.records.get(version)
        return self._vouching.against_version(record) if record else ""

    def against_live(self) -> str:
        """Why the epoch in force would not be believed if it were written today; empty if it would, or is none."""
        doubt = self._vouching.against_epoch(self.epochs.live) if self.epochs.live else None
        return doubt.why if doubt else ""

    def _specify(self, record: PipelineRecord) -> None:
        self.specifications[record.number] = record
        if self.specification is None or record.number >= self.specification.number:
            self.specification, self.deleted = record, False

    def _forget(self, fact: Fact) -> None:
        """Only workers and deleted pipelines have tombstones here; a deletion takes all records of a role together."""
        if fact.role == "workers":
            self.workers.forget(fact.key)
        elif pipeline_of(fact) != self.name:
            return
        elif fact.role == "models":
            self.versions.forget()
            self.doubted.clear()
            self._predecessors = Predecessors()
        elif fact.role == "rollouts":
            self.epochs.forget()
            self.disbelieved.clear()
            self.meddled = ""
            self._predecessors = Predecessors()
        elif fact.role == "cutovers":
            self.cutovers = Cutovers()
        elif fact.role == "pipelines":
            number = fact.key.rpartition("/")[2]
            self.specifications.pop(int(number) if number.isdigit() else 0, None)
            if self.specification is None or number == str(self.specification.number):
                self.specification, self.deleted = None, True

    def _place(self, versions: Collection[str]) -> None:
        for version in versions:
            epoch = self.epochs.last_led(version)
            if epoch and self.versions.may_serve(version) and not self.epochs.left_behind(version):
                self._predecessors.place(version, epoch)
            else:
                self._predecessors.remove(version)

    def after(self, models: Iterable[ModelVersion]) -> "PipelineLedger":
        """The ledger as it will be with these records of versions; this one stays as it is."""
        ahead = copy.copy(self)
        ahead.versions, ahead._predecessors = self.versions.copy(), self._predecessors.copy()
        for record in models:
            ahead._place([ahead.versions.fold(record)])
        return ahead

    def served_before(self, version: str) -> Iterator[str]:
        """Other versions that have served and still may, the last one first; none that a rollback left as bad."""
        return (other for other in self._predecessors.before(version) if not self.against(other))

    def rollback_target(self) -> str:
        """Where a rollback without a version goes: the understudy, which workers hold, else who served last before.

        A second rollback goes back further, never to what the first one left. Empty when there is nowhere to go.
        """
        spare = understudy(self.epochs.live)
        if self.versions.may_serve(spare) and not self.epochs.left_behind(spare) and not self.against(spare):
            return spare
        return next(self.served_before(self.epochs.serving), "")

    def passed_over(self, target: str = "") -> Iterator[str]:
        """Versions that served after `target` did last, or all that served, and that only signatures keep from it."""
        before = takewhile(lambda other: other != target, self._predecessors.before(self.epochs.serving))
        return (other for other in before if self.against(other))

    def revoked(self) -> set[str]:
        """Digests of artifacts that no epoch may name: quarantined or ever revoked, unless a version came back."""
        bad = {self.versions.records[version].manifest.digest for version in self.versions.quarantined}
        bad |= set(self.epochs.live.revoked) if self.epochs.live else set()
        return {digest for digest in bad if not any(map(self.versions.may_serve, self.versions.same_bytes(digest)))}

    def is_revoked(self, version: str) -> bool:
        """Whether the live epoch forbids the artifact of this version."""
        live, model = self.epochs.live, self.versions.records.get(version)
        return live is not None and model is not None and model.manifest.digest in live.revoked

    def resident(self) -> set[str]:
        """Versions that workers must keep in memory: those of the live epoch, and of what is being prepared."""
        return {version for rollout in self.epochs.asked() for version in named_by(rollout)}

    def part_of(self, version: str) -> str:
        """What a version does now: `answers`, `understudy`, `prepared`, or nothing."""
        live = self.epochs.live
        if live and version in [share.version for share in live.table]:
            return "answers"
        if live and version in live.understudies.values():
            return "understudy"
        opened = any(version in [share.version for share in rollout.table] for rollout in self.epochs.open)
        return "prepared" if opened else ""

    def wanted(self, entries: int = 1) -> list[str]:
        """Versions that a worker is to load, the most urgent first, if it can serve tables of so many entries."""
        asked = [rollout for rollout in self.epochs.asked() if len(rollout.table) <= entries]
        versions = dict.fromkeys(version for rollout in asked for version in named_by(rollout))
        return [version for version in versions if not self.is_revoked(version)]


class Ledger:
    """All pipelines that any fact has named."""

    def __init__(
        self, facts: Iterable[Fact] = (), vouching: Callable[[str], Vouching] = lambda _: BelieveAll()
    ) -> None:
        """`vouching` gives what a pipeline's ledger asks, by the pipeline's name."""
        self._vouching = vouching
        self._pipelines: dict[str, PipelineLedger] = {}
        self._clock = BeatClock()
        for fact in facts:
            self.fold(fact)

    @property
    def newest_beat_ms(self) -> int:
        """The broker's time of the newest beat of any worker; 0 if there is none."""
        return self._clock.newest_ms

    def __iter__(self) -> Iterator[PipelineLedger]:
        """All of them, by name."""
        return iter([self._pipelines[name] for name in sorted(self._pipelines)])

    def of(self, pipeline: str) -> PipelineLedger:
        """The pipeline of that name, without anything known of it if no fact has named it."""
        if pipeline not in self._pipelines:
            self._pipelines[pipeline] = PipelineLedger(pipeline, self._clock, self._vouching(pipeline))
        return self._pipelines[pipeline]

    def take_number(self, role: str, key: str) -> None:
        """There is a record under this key, whatever it says: see `take` of `Epochs` and of `Versions`."""
        pipeline, _, number = key.rpartition("/")
        if pipeline and role == "models":
            self.of(pipeline).versions.take(number)
        elif pipeline and role == "rollouts" and number.isdecimal() and len(number) <= _NUMBER_DIGITS:
            self.of(pipeline).epochs.take(int(number))

    def fold(self, fact: Fact) -> None:
        """Take in one control record of any role."""
        if fact.message is None and fact.role == "workers":
            for known in self._pipelines.values():
                known.fold(fact)
        else:
            self.of(pipeline_of(fact)).fold(fact)


def pipeline_of(fact: Fact) -> str:
    """The pipeline that a control record is about; empty for one about none, such as a registry's beat."""
    if fact.message is None:
        return fact.key.rpartition("/")[0] if fact.role != "cutovers" else fact.key.partition("/")[0]
    about = fact.message.manifest if isinstance(fact.message, Candidate) else fact.message
    return str(getattr(about, "pipeline", ""))
