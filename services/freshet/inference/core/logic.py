"""Inference: answers each feature vector with the model version that its offset calls for."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError, DeletedError, FreshetError, UnsetError
from freshet.contracts.logic import Abort, Announce, BatchLimits, Effect, Fact, Hold, Logic, Mark, Outcome, Start
from freshet.contracts.messages import Cutover, ModelVersion, PipelineRecord
from freshet.contracts.position import ORIGIN, Position
from freshet.contracts.worker import WorkerReport
from freshet.inference.core.crash_blame import CrashBlame, Death, Guard, GuardedCalls, unguarded
from freshet.inference.core.epoch_rules import EpochRules
from freshet.inference.core.model_jobs import Loaded, LoadModel
from freshet.inference.core.positions import ROLE, Positions
from freshet.inference.core.prediction_writer import PredictionWriter
from freshet.inference.core.report import Report
from freshet.inference.core.resident_models import ResidentModels
from freshet.inference.core.scoring import Scoring, without
from freshet.inference.core.vectors import VectorReader
from freshet.ledger.ledger import PipelineLedger, pipeline_of
from freshet.models.input_columns import FeatureSpace
from freshet.models.model_error import ModelError
from freshet.pipeline import PipelineSpec
from freshet.trust.pipeline_trust import PipelineTrust, no_keys
from freshet.trust.signed_versions import SignedVersions
from freshet.trust.trusted_keys import TrustedKeys

_INTERVAL_DIVISOR: Final = 4
"""Its input arrives in ingestion's transactions, spaced already: the whole distance again would mostly be delay. Some
of it stays because several ingestion workers commit at different moments."""


class InferenceLogic(Logic):
    """The core of inference, for one pipeline.

    Who answers a row follows from the position in history that its partition's committed metadata holds, and from what
    is loaded when the row is read; each change of position is announced with its first offset, in the transaction of
    that row's answer. So the log alone tells who answers what, whatever is rewound, lost or handed over.
    """

    reads = (ROLE,)
    follows = ("pipelines", "models", "rollouts")
    origin = ORIGIN.metadata()

    def __init__(
        self,
        pipeline: str,
        instance: str,
        *,
        topic_id: str,
        deaths: Sequence[Death] = (),
        died_loading: Sequence[str] = (),
        guard: Guard = unguarded,
        lane: str = "serve",
        model_wait_ms: int = 30_000,
        keys: Callable[[], TrustedKeys | None] = no_keys,
    ) -> None:
        """`instance` is this worker's name among all workers, `topic_id` the broker's id of the features topic.

        `deaths` are those of our predecessors in a row, each while a version scored, and `died_loading` the digests
        for those that died while they loaded one; `guard` goes around each score call. A partition that waits
        longer than `model_wait_ms` for a model is answered by the epoch's understudy, if any. `keys` gives the trusted
        keys of now.
        """
        self._pipeline, self._instance, self._lane = pipeline, instance, lane
        self._topic_id = topic_id
        self._trust = trust = PipelineTrust(pipeline, keys)
        # of a history that cannot be judged yet, the newest epochs are enough to answer by
        self._ledger = PipelineLedger(pipeline, vouching=trust, whole=False)
        self._blame = blame = CrashBlame(deaths)
        self._models = ResidentModels(self._ledger.versions, died_loading, blame.to_blame())
        self._signatures = SignedVersions(self._ledger, trust)
        self._rules = EpochRules(self._ledger, self._models)
        self._calls = GuardedCalls(blame, guard)
        self._report = Report(self._ledger, self._models, self._rules)
        self._positions = Positions(self._rules, self._report, model_wait_ms)
        self._scoring = Scoring(self._models, self._rules, blame, self._calls, self._positions)
        self._reader, self._writer = VectorReader(), PredictionWriter(topic_id)
        self._limits = BatchLimits()
        self._spec_error: str | None = None
        self._pardoned: set[str] = set()
        self._now_ms = 0

    @property
    def limits(self) -> BatchLimits:
        """See `Logic`. Those of the newest specification: admission and warm-up judge models by the same.

        Smaller batches while rows may have to be scored one at a time.
        """
        if not self._calls.careful:
            return self._limits
        return replace(self._limits, rows=min(self._limits.rows, self._calls.alone_rows))

    def on_batch(self, batch: Batch) -> Iterable[Effect]:
        """See `Logic`. First holds, then dead letters, cut-overs, predictions, marks; each kind in ascending order."""
        self._calls.careful = self._blame.in_doubt(batch.spans)
        if self._calls.careful and len(batch) > self._calls.alone_rows:
            return [Abort(f"at most {self._calls.alone_rows} rows at once where one of them may have killed a worker")]
        vectors, dead = self._reader.read(batch)
        groups, waiting = self._scoring.answer(batch, vectors)
        if waiting:
            dead = without(dead, batch, waiting)
        places = {number: group.position for group in groups for number in group.partitions}
        moved = self._positions.move(places)
        return [
            *(Hold(ROLE, number, why) for number, why in waiting.items()),
            *dead,
            *(letter for group in groups for letter in group.dead),
            *(self._cut(number, batch.spans[number][0], was, places[number]) for number, was in moved.items()),
            *(self._writer.publish(batch, group.position, group.answers) for group in groups if group.answers),
            *(Mark(ROLE, number, position.metadata()) for number, position in sorted(places.items())),
        ]

    def _cut(self, number: int, first_offset: int, was: Position, position: Position) -> Announce:
        """Tell that from its first offset here on a partition is answered elsewhere in history than before."""
        cut = Cutover(
            pipeline=self._pipeline,
            lane=self._lane,
            topic_id=self._topic_id,
            partition=number,
            first_offset=first_offset,
            epoch=position.epoch,
            fallback=position.fallback,
            cause=self._cause(was, position),
        )
        return Announce("cutovers", f"{cut.pipeline}/{cut.lane}/{cut.topic_id}/{number}/{first_offset}", cut)

    def _cause(self, was: Position, position: Position) -> str:
        if position.fallback:
            champion = self._ledger.epochs.champion(position.epoch)
            return "quarantine" if self._rules.is_blocked(champion) else "missing"
        if was == ORIGIN:
            return "start"
        return "rollback" if self._ledger.epochs.is_return(position.epoch, since=was.epoch) else "rollout"

    def on_topic(self, role: str, topic_id: str) -> None:  # noqa: ARG002
        """See `Logic`. It may be another than this worker was made with: the topic was made anew since."""
        self._topic_id = topic_id
        self._writer = PredictionWriter(topic_id, pass_headers=self._writer.pass_headers)

    def on_assign(self, role: str, partition: int, metadata: str) -> None:  # noqa: ARG002
        """See `Logic`."""
        self._positions.assign(partition, metadata)

    def waits(self, role: str, partition: int) -> str:  # noqa: ARG002
        """See `Logic`. A partition waits while nothing can answer it here, and while its metadata is not ours."""
        return self._positions.waits(partition)

    def on_revoke(self, role: str, partition: int) -> None:  # noqa: ARG002
        """See `Logic`."""
        self._positions.revoke(partition)

    def fold(self, fact: Fact) -> None:
        """See `Logic`. Raises DeletedError once the pipeline is deleted while a model is in memory, or on its way."""
        if pipeline_of(fact) != self._pipeline:
            return
        if isinstance(fact.message, ModelVersion) and not fact.message.version:
            return  # a refusal: no epoch names it, and its record may be large
        self._ledger.fold(fact)
        if fact.message is None:
            self._forget()
        elif fact.message is self._ledger.specification:
            self._follow(self._ledger.specification)
        self._settle()

    def _forget(self) -> None:
        """Only a deleted pipeline has tombstones here: all of its records get one, so each role begins anew."""
        self._rules.forget(self._ledger.epochs.live_epoch)
        if self._ledger.specification is None:
            self._spec_error, self._rules.space = None, None
        if not self._models.empty:  # the same number may come to mean another model
            raise DeletedError(self._pipeline)

    def _pardon(self) -> None:
        """Once for each pardon: the version may fail here again before the registry has withdrawn it."""
        versions = self._ledger.versions
        pardoned = {name for name in versions.pardoned if self._instance in versions.records[name].pardoned}
        for version in pardoned - self._pardoned:
            self._models.pardon(version)
        self._pardoned = pardoned

    def _settle(self) -> None:
        self._pardon()
        self._rules.advance()
        self._models.forget_failures(self._ledger.wanted())

    def _follow(self, record: PipelineRecord) -> None:
        """Go by this specification from now on."""
        self._spec_error = None
        try:
            spec = PipelineSpec.parse(record.spec)
        except ContractError as error:
            self._spec_error = f"specification {record.number} of {self._pipeline} cannot be read here: {error}"
            return
        self._trust.follow(demanded=spec.trust == "required", life=record.life)
        if (why := self._trust.unset) and not self._rules.reached:
            raise UnsetError(f"pipeline {self._pipeline}: {why}")
        self._ledger.reconsider()
        interval_ms = spec.limits.commit_interval_ms // _INTERVAL_DIVISOR
        self._limits = BatchLimits(spec.limits.max_batch_rows, interval_ms)
        self._writer.pass_headers = spec.headers == "pass"
        self._calls.batch_p99_ms = spec.limits.batch_p99_ms
        self._rules.space = FeatureSpace(spec.feature_names)

    def on_job(self, outcome: Outcome[Any]) -> None:
        """See `Logic`."""
        match outcome:
            case Outcome(LoadModel(version), Loaded() as loaded):
                self._models.take_in(version, loaded)
            case Outcome(LoadModel(version), error=FreshetError() as error):
                self._models.note_failure(version, error, self._now_ms)
            case _:
                return
        self._settle()

    def on_tick(self, now_ms: int) -> Iterable[Effect]:
        """See `Logic`. Raises ModelMissingError when a partition had better be another worker's."""
        self._now_ms = now_ms
        if self._trust.renewed():
            self._ledger.reconsider()
            self._models.forget_failures(())
            self._settle()
        self._positions.tick(now_ms)
        yield from self._care_for_models(now_ms)

    def _care_for_models(self, now_ms: int) -> Iterator[Start]:
        known = (self._ledger.versions.records.get(version) for version in self._ledger.wanted())
        wanted = [model for model in known if model]
        load = self._models.next_load(wanted, self._limits.rows, now_ms) if self._rules.space else None
        if load and (against := self._signatures.against(load.version)):
            self._models.note_failure(load.version, ModelError(against.reason, against.detail), now_ms)
        elif load:
            yield Start(load)
        # Until the newest epoch can be answered here, an unlisted model may be the last one that can answer anything.
        if self._rules.reached and self._rules.reached == self._ledger.epochs.live_epoch:
            yield from map(Start, self._models.evict(self._ledger.resident()))

    def unready(self) -> str | None:
        """See `Logic`."""
        trouble = self._ledger.alarm or self._spec_error
        if trouble:
            return trouble
        if self._rules.space is None:
            return f"pipeline {self._pipeline} is not published: run `freshet apply`."
        live = self._ledger.epochs.live
        if live is None or self._rules.reached < live.epoch:
            return self._report.why_waiting(ORIGIN)
        waiting = [state for state in self._positions.states() if state.held]
        return f"partition {waiting[0].partition} waits: {waiting[0].held}" if waiting else None

    def report(self) -> WorkerReport:
        """See `Logic`."""
        return WorkerReport(
            live_epoch=self._rules.reached,
            prepared=self._report.prepared(),
            resident=tuple(self._models.loaded()),
            partitions=self._positions.states(),
            quarantined=tuple(self._models.quarantined()),
            warnings=tuple(self._signatures.warnings(self._models.loaded())),
        )
