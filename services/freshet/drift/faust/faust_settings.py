"""The settings under which a Faust app loses nothing."""

from typing import Any

from freshet.drift.faust.faust_credentials import credentials
from freshet.runtime.settings import Settings


def safe_settings(settings: Settings) -> dict[str, Any]:
    """For `faust.App`. Raises SettingsError where Faust cannot connect as these settings ask for."""
    folder = settings.state_dir / "faust"
    folder.mkdir(parents=True, exist_ok=True)  # nothing is kept there with tables in memory, but Faust wants it
    return {
        "broker": [f"kafka://{address}" for address in settings.bootstrap_servers.split(",")],
        "broker_credentials": credentials(settings.kafka),
        "store": "memory://",
        "datadir": str(folder),
        "autodiscover": False,
        "web_enabled": False,
        "topic_disable_leader": True,
        "key_serializer": "raw",
        "value_serializer": "raw",
        "consumer_auto_offset_reset": "earliest",
        "broker_commit_interval": 0.25,
        "broker_session_timeout": 10.0,
        "broker_heartbeat_interval": 2.0,
        "producer_request_timeout": 30.0,  # the default is 20 minutes
        "stream_buffer_maxsize": 64,
        "stream_recovery_delay": 0.0,
        "stream_wait_empty": True,  # else a record that is interrupted at the end is acknowledged
    }
