"""An alert: when it is raised, and what whoever is woken by it has to know."""

from dataclasses import dataclass
from typing import Final, Literal

RUNBOOK: Final = "docs/runbook.md"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. Texts are sentences; `$labels` may be those that the expression leaves."""

    name: str
    expr: str
    lasts: str
    """How long it must hold, as Prometheus writes it: 5m."""
    severity: Literal["page", "ticket"]
    """page: somebody gets up for it. ticket: it can wait until the morning."""
    summary: str
    means: str
    check: str
    do: str

    @property
    def anchor(self) -> str:
        """Its heading in the runbook, as a link has it."""
        return f"{RUNBOOK}#{self.name.lower()}"
