"""A registry that does nothing but forget one deleted pipeline: for whoever deletes it while no registry runs."""

from freshet.contracts.logic import Announce, Cancel, Start
from freshet.registry.core.decider import RegistryDecider
from freshet.registry.core.deleted_pipelines import forget_deleted


class DeletionStandIn(RegistryDecider):
    """Decides for one pipeline only, and only that its versions and epochs go."""

    def __init__(self, pipeline: str) -> None:
        super().__init__()
        self._only = pipeline

    def pipelines(self) -> list[str]:
        """See `Decider`."""
        return [self._only]

    def decide(self, pipeline: str, now_ms: int) -> list[Announce | Start | Cancel]:  # noqa: ARG002
        """See `Decider`."""
        return [*forget_deleted(self._pipelines.state(pipeline).ledger)]
