"""What lies on control topics already: a process that died before it committed has left it there."""

from freshet.contracts.topic_table import stanza
from freshet.runtime.bus.protocol import Bus, Send
from freshet.runtime.reading import everything


class AlreadySaid:
    """Leaves out what was said before. An answer follows from the log, so said again it has the same bytes.

    Only of control topics, which are small: a topic is read once, when something is first to be written to it. The rows
    of a member that was thrown out of its group and does not know it yet may still come in between; readers go by ids.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._values: dict[str, set[bytes | None]] = {}

    def forget(self) -> None:
        """Others may have written meanwhile: read again."""
        self._values.clear()

    def unsaid(self, send: Send) -> Send:
        """The rows of it that are not there yet. Raises RetriableError."""
        if stanza(send.role).per_pipeline:
            return send
        if send.role not in self._values:
            self._values[send.role] = {value for batch in everything(self._bus, send.role) for value in batch.values}
        said = self._values[send.role]
        rows = [row for row, value in enumerate(send.values) if value not in said]
        said.update(send.values)
        return Send(send.role, [send.keys[row] for row in rows], [send.values[row] for row in rows])
