"""How a pipeline's models stand: which versions there are, what answers now, and what is not well."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from freshet.contracts.messages import ModelVersion, Rollout
from freshet.ledger.held_partitions import HeldPartition, held_partitions
from freshet.ledger.ledger import Ledger, PipelineLedger
from freshet.ledger.workers import ALIVE, Beat
from freshet.operate.attendance import group_lines, retraining_lines, service_line, waiting_lines, warning_lines
from freshet.operate.connection import Connection
from freshet.operate.facts import published
from freshet.operate.finding import Line
from freshet.operate.judged_view import judged_by
from freshet.operate.operate_error import OperateError
from freshet.operate.presence import SERVING, presence
from freshet.operate.records import finite
from freshet.operate.roll_call import roll_call
from freshet.operate.signers import signers
from freshet.operate.times import clock_time

if TYPE_CHECKING:  # it needs an extra
    from freshet.trust.trusted_keys import TrustedKeys


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One pipeline as of `now_ms`, by the broker's clock."""

    ledger: PipelineLedger
    now_ms: int
    trouble: tuple[Line, ...]
    """What is not well: services that are gone, records that nobody reads, topics that contradict themselves."""

    @property
    def bad(self) -> bool:
        """Whether something stands still, or is about to."""
        return any(line.health == "bad" for line in self.trouble)

    @property
    def workers(self) -> list[Beat]:
        """The newest state of every inference worker, of all lanes."""
        return [beat for _, beat in self.ledger.workers.of("inference", lane=None)]

    @property
    def partitions(self) -> Sequence[HeldPartition]:
        """Where each partition is in history."""
        return list(held_partitions(self.ledger, self.now_ms))

    def alive(self, beat: Beat) -> bool:
        """Whether that worker still runs."""
        return beat.state(self.now_ms) in ALIVE

    @property
    def required(self) -> dict[str, tuple[str, ...]]:
        """The versions that may answer now, and the features without which each has no answer; only such versions."""
        live, records = self.ledger.epochs.live, self.ledger.versions.records
        named = [*(share.version for share in live.table), *live.understudies.values()] if live else []
        found = {version: records[version].manifest.required for version in named if version in records}
        return {version: names for version, names in found.items() if names}

    def document(self) -> dict[str, Any]:
        """All of it as JSON values."""
        live = self.ledger.epochs.live
        return {
            "live": finite(live.model_dump()) if live else None,
            "preparing": [finite(rollout.model_dump()) for rollout in self.ledger.epochs.open],
            "workers": [
                {"alive": self.alive(beat), "beat_ms": beat.timestamp_ms, **beat.worker.model_dump()}
                for beat in self.workers
            ],
            "partitions": [asdict(at) for at in self.partitions],
            "required": self.required,
            "trouble": [asdict(line) for line in self.trouble],
        }


def model_status(connection: Connection, pipeline: str, keys: "TrustedKeys | None" = None) -> ModelStatus:
    """Look at everything that tells how a published pipeline is served. Raises ContractError if it was never applied.

    With trusted `keys`, as whoever starts now with them: where signatures are demanded, other epochs do not count. May
    wait for the services' next beat, as `roll_call` says.
    """
    found = published(connection, pipeline)  # a misspelt name would have no model
    spec, roles = found.spec, ("models", "rollouts", "cutovers", "commands")
    called = roll_call(connection.bus(), *roles, say=connection.say, vouching=judged_by(found, keys))
    ledger, now_ms = called.ledger.of(pipeline), called.now_ms
    present = {service: presence(called.ledger, service, pipeline, now_ms) for service in SERVING}
    lines = [*map(service_line, present.values()), *group_lines(connection, pipeline, present)]
    lines += waiting_lines(present["registry"], pipeline)
    waiting = [pipeline] if spec.retraining.triggers else []
    lines += retraining_lines(presence(called.ledger, "retraining", pipeline, now_ms), waiting)
    lines += [Line("control topics", "bad", ledger.alarm)] if ledger.alarm else []
    lines += warning_lines(ledger)
    return ModelStatus(ledger, now_ms, tuple(line for line in lines if line.health != "ok"))


def why(rollout: Rollout, ledger: PipelineLedger) -> str:
    """What led to an epoch: who asked for it and when, where a command did."""
    asked = ledger.commands.named_by(rollout)
    if asked is None:
        return rollout.cause
    note = f" ({asked.command.text})" if asked.command.text else ""
    who, at = asked.command.by or "somebody", clock_time(asked.timestamp_ms)
    return f"{rollout.cause} by {who} at {at}{note}"


def version_rows(ledger: Ledger, pipeline: str = "", keys: "TrustedKeys | None" = None) -> list[dict[str, Any]]:
    """A row for each version and refused candidate of that pipeline, or of all; the newest version last.

    `keys` judge what each is signed with; see `signers`. A refusal whose bytes were admitted later says as which
    version: nobody has to do anything about it any more.
    """
    asked = [one for one in ledger if pipeline in ("", one.name)]
    found = [model for one in asked for model in (*one.versions.records.values(), *one.versions.refusals.values())]
    return [
        {**_row(model, ledger.of(model.pipeline)), "signed_by": signers(model, keys)}
        for model in sorted(found, key=_order)
    ]


def find_version(ledger: PipelineLedger, name: str) -> ModelVersion:
    """The version of that name, or the one whose sha256 begins so. Raises OperateError unless there is just one."""
    models = ledger.versions.in_force()
    exact = [model for model in models if model.version == name]
    found = exact or [model for model in models if name and model.manifest.digest.startswith(name)]
    if len(found) != 1:
        known = ", ".join(model.version for model in models if model.version) or "none yet"
        what = "several models of this pipeline begin with" if found else "no version or sha256 of this pipeline is"
        raise OperateError(f"{what} {name!r}; its versions are: {known}.")
    return found[0]


def _order(model: ModelVersion) -> tuple[str, list[int], int]:
    numbers = [int(part) for part in model.version.split(".")] if model.version else []
    return model.pipeline, numbers, _judged_ms(model)


def _judged_ms(model: ModelVersion) -> int:
    return model.history[0].at_ms if model.history else 0


def _settled_by(refused: ModelVersion, ledger: PipelineLedger) -> str:
    """The version as which the same bytes were admitted later; empty if they were not."""
    records = ledger.versions.records
    same = [records[version] for version in ledger.versions.same_bytes(refused.manifest.digest)]
    return next((model.version for model in same if _judged_ms(model) >= _judged_ms(refused)), "")


def _row(model: ModelVersion, ledger: PipelineLedger) -> dict[str, Any]:
    settled = "" if model.version else _settled_by(model, ledger)
    return {
        "pipeline": model.pipeline,
        "version": model.version,
        "state": model.state,
        "now": ledger.part_of(model.version),
        "size_bytes": model.manifest.size_bytes,
        "sha256": model.manifest.digest,
        "since_ms": _judged_ms(model),
        "reason": f"settled, admitted later as {settled}; before: {model.reason}" if settled else model.reason,
        "settled_by": settled,
    }
