"""As whom each process logs in to the Kafka that a folder uses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from freshet.lab.credentials import Credentials
from freshet.operate.broker_record import Endpoint
from freshet.runtime.settings import load_settings


@dataclass(frozen=True, slots=True)
class Logins:
    """Client settings of each principal. On a secured broker of ours each has its own, and rights are ours to grant."""

    common: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What everybody is given where it is not ours."""
    ours: Credentials | None = None

    @classmethod
    def at(cls, root: Path, endpoint: Endpoint) -> "Logins":
        """Those for the broker that `broker.up` has found for this root. May raise SettingsError."""
        if endpoint.kind == "external":
            return cls(load_settings(endpoint.bootstrap_servers).kafka)
        credentials = Credentials(root.resolve())
        return cls(ours=credentials if credentials.made else None)

    def login(self, principal: str) -> Mapping[str, str]:
        """Client settings with which this principal connects."""
        return self.common if self.ours is None else self.ours.login(principal)
