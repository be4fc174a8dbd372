"""Every newly admitted version goes live as soon as the workers hold it."""

from typing import ClassVar

from freshet.registry.core.policy import Policy, View


class Immediate(Policy):
    """Rolls out the newest version, once.

    A version that was aborted, rolled back or quarantined is not tried again by itself, and an older one never replaces
    it: whoever wants either promotes it.
    """

    kind: ClassVar[str] = "immediate"

    def choose(self, view: View) -> str | None:
        """The newest version, if it is admitted and no epoch has named it yet."""
        if not view.versions:
            return None
        newest = view.versions[-1]
        return newest.version if newest.state == "admitted" and newest.version not in view.tried else None
