"""What the control topics say about one pipeline, kept current for whoever watches."""

import time
from collections.abc import Callable
from typing import TypeVar

from freshet.contracts.messages import Decision
from freshet.ledger.ledger import PipelineLedger
from freshet.operate.operate_error import LocalError
from freshet.runtime.bus.protocol import Bus, RetriableError
from freshet.runtime.feed import Feed

T = TypeVar("T")

_ROLES = ("models", "rollouts", "cutovers", "workers", "decisions")
_POLL_S = 0.1


class View:
    """One pipeline's ledger, folded as records come. Not thread-safe."""

    def __init__(self, bus: Bus, pipeline: str) -> None:
        self.pipeline = pipeline
        self._feed = Feed(bus.reader(_ROLES))
        self.ledger = PipelineLedger(pipeline)
        self.decisions: list[Decision] = []
        """All that were made for this pipeline, in their order."""

    def refresh(self, timeout_s: float = 0.0) -> None:
        """Fold what has arrived; waits at most that long for the first record."""
        for fact in self._feed.facts(timeout_s):
            self.ledger.fold(fact)
            if isinstance(fact.message, Decision) and fact.message.pipeline == self.pipeline:
                self.decisions.append(fact.message)

    def catch_up(self, timeout_s: float = 30.0) -> None:
        """Fold all that was there when this view was made; raises LocalError if that takes longer."""
        self.wait("the control topics", lambda _: self._feed.caught_up() or None, timeout_s)

    def wait(self, what: str, found: Callable[["View"], T | None], timeout_s: float = 60.0) -> T:
        """Fold until `found` finds something; raises LocalError naming what did not happen in time. Blocks.

        A broker that has just come back refuses for some seconds (its coordinators load): that is waited out, too.
        """
        deadline = time.monotonic() + timeout_s
        refused = ""
        while True:
            try:
                self.refresh(_POLL_S)
                result, refused = found(self), ""
            except RetriableError as error:
                result, refused = None, f" The broker refuses: {error}"
                time.sleep(_POLL_S)
            if result is not None and result is not False:
                return result
            if time.monotonic() > deadline:
                raise LocalError(
                    f"waited {timeout_s:.0f} s in vain for {what}; the services' logs may say why.{refused}"
                )

    def close(self) -> None:
        """Free the reader."""
        self._feed.close()
