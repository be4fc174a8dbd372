"""Nothing goes live unless an operator promotes it."""

from typing import ClassVar

from freshet.registry.core.policy import Policy, View


class Manual(Policy):
    """Waits for `freshet model promote`."""

    kind: ClassVar[str] = "manual"

    def choose(self, view: View) -> str | None:  # noqa: ARG002
        """Never starts anything."""
        return None
