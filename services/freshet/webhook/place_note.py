"""A note of how far each topic is done, for the day when Kafka has forgotten it: committed offsets expire."""

import json
import os
from pathlib import Path

from freshet.runtime.settings import SettingsError


class PlaceNote:
    """Lies beside the dead-letter file, on the same disk that stays; bridges of other names have other notes.

    Another process of the same name may be further by now: then records are sent once more, and none is left out.
    """

    def __init__(self, letters: Path, bridge: str) -> None:
        """Raises SettingsError if there is a note that cannot be read."""
        self._path = letters.with_name(f"{letters.name}.{bridge}.places")
        self._offsets: dict[str, int] = {}
        try:
            self._offsets = {str(place): int(offset) for place, offset in json.loads(self._path.read_bytes()).items()}
        except FileNotFoundError:
            return
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise SettingsError(
                f"{self._path} cannot be read: {error}. It says how far the bridge was. If Kafka still knows that, "
                "delete the file; else the bridge begins at the end."
            ) from error

    def offset(self, topic_id: str, partition: int) -> int | None:
        """The first record of this life of a topic that is not done; None if nothing is noted."""
        return self._offsets.get(f"{topic_id}/{partition}")

    def put(self, topic_id: str, partition: int, offset: int) -> None:
        """Note it. Raises SettingsError if that is not possible."""
        self._offsets[f"{topic_id}/{partition}"] = offset
        unfinished = self._path.with_name(f"{self._path.name}.unfinished")
        try:
            with unfinished.open("w", encoding="utf-8") as file:
                json.dump(self._offsets, file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._path)
        except OSError as error:
            raise SettingsError(
                f"{self._path} cannot be written: {error.strerror}. Make room, or set FRESHET_WEBHOOK_LETTERS to a "
                "file in a folder that can be written to."
            ) from error
