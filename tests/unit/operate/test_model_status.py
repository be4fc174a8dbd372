"""What `freshet model status` says beside what the ledger knows."""

import json
from io import StringIO

import pytest
from rich.console import Console

from freshet.cli.model.publish import shown
from freshet.cli.model.view import status_shown
from freshet.contracts.logic import Fact
from freshet.contracts.messages import Change, Command, ModelVersion
from freshet.ledger.ledger import Ledger, PipelineLedger
from freshet.operate.facts import Published
from freshet.operate.judged_view import judged_by
from freshet.operate.model_status import ModelStatus, version_rows, why
from freshet.operate.times import clock_time
from freshet.pipeline import PipelineSpec
from support.inference import PIPELINE, model, rollout, specification
from support.signed import KeyRing, demanding, signed_epoch, signed_version

NOW_MS = 1_000_000


def test_an_epoch_says_who_asked_for_it() -> None:
    """By the command that its cause names, as it was first asked; any other cause stays as it is."""
    asked = Command(
        command_id="c-1", pipeline=PIPELINE, action="pause", text="too many", expires_at_ms=NOW_MS, by="ada@desk"
    )
    ledger = PipelineLedger(PIPELINE)
    for at, message in enumerate((asked, asked.model_copy(update={"expires_at_ms": 0})), 1):
        ledger.fold(Fact("commands", PIPELINE, message, at, at))
    epoch = rollout(2, "1.0.0").model_copy(update={"cause": "pause", "command_id": "c-1"})
    assert why(epoch, ledger) == f"pause by ada@desk at {clock_time(1)} (too many)"
    assert why(epoch.model_copy(update={"cause": "candidate 7ab", "command_id": ""}), ledger) == "candidate 7ab"


def needing(version: str, *required: str) -> ModelVersion:
    """An admitted version whose original refuses these features without a value."""
    admitted = model(version)
    return admitted.model_copy(
        update={
            "reason": f"admitted as {version}: fine.",
            "manifest": admitted.manifest.model_copy(update={"required": required}),
        }
    )


def test_the_verdict_says_what_will_become_a_dead_letter() -> None:
    """Whoever publishes need not be whoever packed; a refused model answers nothing, so that it refuses nothing."""
    assert shown(needing("1.0.0")) == "admitted as 1.0.0: fine."
    assert shown(needing("1.0.0", "age", "sum", "day")) == (
        "admitted as 1.0.0: fine.\n"
        "1.0.0 has no answer where age, sum or day has no value: such events become dead letters."
    )
    refused = needing("", "age").model_copy(update={"state": "refused", "reason": "model_slow: too slow."})
    assert shown(refused) == "refused: model_slow: too slow."


def test_status_says_what_the_versions_that_answer_refuse() -> None:
    """Those of the live epoch and their understudies, and no other."""
    ledger = PipelineLedger(PIPELINE)
    versions = [needing("1.0.0", "age"), needing("1.0.1"), needing("1.0.2", "sum")]
    for at, message in enumerate((*versions, rollout(1, "1.0.1", understudy="1.0.0"))):
        role = "models" if isinstance(message, ModelVersion) else "rollouts"
        ledger.fold(Fact(role, PIPELINE, message, at, at))
    found = ModelStatus(ledger, NOW_MS, ())
    file = StringIO()
    Console(width=200, file=file).print(status_shown(found))
    assert "1.0.0 has no answer where age has no value: such events become dead letters." in file.getvalue()
    assert file.getvalue().count("has no answer") == 1
    assert found.document()["required"] == {"1.0.0": ("age",)}


def test_a_signed_epoch_is_a_json_document() -> None:
    """Its signatures are bytes, which JSON has no values for."""
    ledger = PipelineLedger(PIPELINE)
    ledger.fold(Fact("rollouts", PIPELINE, rollout(1, "1.0.0").model_copy(update={"signatures": {"k": b"\xbb"}})))
    assert json.loads(json.dumps(ModelStatus(ledger, NOW_MS, ()).document()))["live"]["signatures"]["k"]["hex"] == "bb"


def test_a_refusal_whose_bytes_were_admitted_later_says_that_it_is_settled() -> None:
    """As after a key was mended; a refusal that stands, and one that came after the version, do not."""
    ledger = Ledger()
    admitted = model("1.0.0").model_copy(update={"history": (Change(at_ms=200, what="admitted"),)})
    ledger.fold(Fact("models", f"{PIPELINE}/1.0.0", admitted, 200, 0))
    other = admitted.manifest.model_copy(update={"digest": "f" * 64})
    told = (("m1", admitted.manifest, 100), ("m2", admitted.manifest, 300), ("m3", other, 100))
    for at, (identity, manifest, at_ms) in enumerate(told, 1):
        changes = {"version": "", "state": "refused", "reason": "signature_revoked_key: …", "manifest": manifest}
        history = (Change(at_ms=at_ms, what="refused"),)
        refused = admitted.model_copy(update={**changes, "manifest_id": identity, "history": history})
        ledger.fold(Fact("models", f"{PIPELINE}/{identity}", refused, at_ms, at))
    rows = {(row["since_ms"], row["sha256"]): row for row in version_rows(ledger) if not row["version"]}
    settled = rows[100, admitted.manifest.digest]
    assert settled["settled_by"] == "1.0.0"
    assert settled["reason"] == "settled, admitted later as 1.0.0; before: signature_revoked_key: …"
    assert [rows[key]["settled_by"] for key in ((300, admitted.manifest.digest), (100, "f" * 64))] == ["", ""]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["before", "after"])
def test_a_forged_epoch_is_nobodys_second_registry(order: tuple[int, int]) -> None:
    """An old signed epoch with its number raised beside the registry's: only the trust file tells whose it is."""
    ring = KeyRing()
    built = [signed_version(model(version), ring.builder) for version in ("1.0.0", "2.0.0")]
    first, second = (
        signed_epoch(rollout(at, one.version), ring.release, one, life="a1") for at, one in enumerate(built, 1)
    )
    pair = (first.model_copy(update={"epoch": 2}), second)
    spec = demanding(specification())
    found = Published(spec, PipelineSpec.parse(spec.spec), {})
    for keys, forged in ((None, True), (ring.now, False)):
        messages = (*built, first, *(pair[at] for at in order))
        ledger = Ledger([Fact("", "", one, at, at) for at, one in enumerate(messages)], judged_by(found, keys))
        told = ledger.of(PIPELINE)
        assert "Two registries" not in told.alarm
        assert bool(told.alarm) == forged
        assert forged or told.epochs.serving == "2.0.0"
