"""What trials of drift's services have in common."""

import os
from typing import Final

from freshet.operate.verify.findings import Finding
from support.faults import Outcome, Trial

# never kill a Kafka that is not our own
OWN_BROKER: Final = {name: value for name, value in os.environ.items() if name != "KAFKA_BOOTSTRAP_SERVERS"}


def judged(outcome: Outcome) -> dict[str, Finding]:
    """What `verify` said of drift, by check; all of it looked at something."""
    found = {finding.check: finding for finding in outcome.judgement.findings if finding.promise == "drift"}
    print({check: finding.looked_at for check, finding in found.items()})  # noqa: T201 - a run's result
    assert found["labels meet their predictions"].looked_at
    assert found["no evaluation is lost"].looked_at
    assert found["no alarm is lost"].looked_at
    assert found["alarms follow from the labelled log"].looked_at
    return found


def come_and_go(here: Trial) -> None:
    """The two workers leave and join in turn, and then one is killed."""
    for name in ("drift-b", "drift-a", "drift-b"):
        here.stage.supervisor.stop(name)
        here.wait_progress("drift")
        here.run(name)
        here.wait_progress("drift")
    here.kill("drift-a")
    here.wait_progress("drift")


def changed(here: Trial) -> None:
    """The concept changes; whatever is done from now on, the same alarms must come of it."""
    here.wait_progress("drift")
    here.change_concept()
