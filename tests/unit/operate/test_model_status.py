"""What `freshet model status` says beside what the ledger knows."""

from freshet.contracts.logic import Fact
from freshet.contracts.messages import Command
from freshet.ledger.ledger import PipelineLedger
from freshet.operate.model_status import why
from freshet.operate.times import clock_time
from support.inference import PIPELINE, rollout

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
