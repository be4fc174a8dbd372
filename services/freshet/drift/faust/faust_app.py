"""Makes a `faust.App` for one pipeline, with settings under which nothing is lost."""

from typing import Any, Final

import faust

from freshet.drift.faust.strict_driver import correct
from freshet.runtime.settings import Settings, SettingsError

_OWN_SECURITY: Final = frozenset({"plaintext"})
_A_DAY_S: Final = 86_400.0


def make_app(
    settings: Settings, group: str, *, instance: str | None = None, strict: bool = True, **more: Any
) -> faust.App:
    """An app that is a member of this group. `more` are settings of Faust's, which win over ours.

    `strict=False` leaves Faust as it is, to see what it does then.
    """
    protocol = settings.kafka.get("security.protocol", "plaintext").lower()
    if protocol not in _OWN_SECURITY:
        raise SettingsError(f"Faust connects without TLS and passwords only, and FRESHET_KAFKA asks for {protocol}.")
    folder = settings.state_dir / "faust"
    folder.mkdir(parents=True, exist_ok=True)  # nothing is kept there with tables in memory, but Faust wants it
    app = faust.App(
        group,
        **{
            "broker": [f"kafka://{address}" for address in settings.bootstrap_servers.split(",")],
            "store": "memory://",
            "datadir": str(folder),
            "autodiscover": False,
            "web_enabled": False,
            "topic_allow_declare": False,  # `freshet topics apply` does
            "topic_disable_leader": True,
            "key_serializer": "raw",
            "value_serializer": "raw",
            "consumer_auto_offset_reset": "earliest",
            "consumer_group_instance_id": instance,
            "broker_commit_interval": 0.25,
            "broker_session_timeout": 10.0,
            "broker_heartbeat_interval": 2.0,
            "producer_request_timeout": 30.0,  # the default is 20 minutes
            "stream_buffer_maxsize": 64,
            "stream_recovery_delay": 0.0,
            **more,
        },
    )
    if strict:
        correct(app)
    return app
