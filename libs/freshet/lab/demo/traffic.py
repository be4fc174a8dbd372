"""A load that runs beside the story, in a thread of its own."""

import threading
from collections.abc import Iterable, Iterator

from freshet.lab.load import Load, Sent
from freshet.operate.operate_error import LocalError
from freshet.operate.tables.events import Events


class Traffic:
    """Publishes a source through a load until it ends or is stopped. `sent` is current at any time."""

    def __init__(self, load: Load, source: Iterable[Events]) -> None:
        self.sent = Sent()
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(load, source), name="traffic", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """False once the source has ended, or the load was stopped or failed."""
        return self._thread.is_alive()

    def wait(self, timeout_s: float | None = None) -> None:
        """Until the source has ended; raises what went wrong."""
        self._thread.join(timeout_s)
        if self._error is not None:
            raise LocalError(f"the load ended early: {self._error}") from self._error

    def stop(self) -> Sent:
        """Send no more events, but the labels that are due; returns what was sent."""
        self._stop.set()
        self.wait()
        return self.sent

    def _run(self, load: Load, source: Iterable[Events]) -> None:
        try:
            for sent in load.publish(self._until_stopped(source)):
                self.sent = sent
        except BaseException as error:  # raised again by whoever waits
            self._error = error

    def _until_stopped(self, source: Iterable[Events]) -> Iterator[Events]:
        for events in source:
            if self._stop.is_set():
                return
            yield events
