"""The file for what the receiver did not take: one JSON object a line."""

import os
from pathlib import Path

from freshet.runtime.settings import SettingsError


class LetterFile:
    """A line is on the disk when `add` returns. After a kill at the wrong moment the same id may stand there twice."""

    def __init__(self, path: Path) -> None:
        """Made if it is not there. Raises SettingsError if it cannot be written."""
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            size_bytes = os.fstat(self._file).st_size
            if size_bytes and os.pread(self._file, 1, size_bytes - 1) != b"\n":
                self.add(b"\n")  # a line that was cut short stays the only one that is spoilt
        except OSError as error:
            raise self._unwritable(error) from error

    def add(self, line: bytes) -> None:
        """Append it. Raises SettingsError, so that nothing is passed over that is kept nowhere."""
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """Free it."""
        os.close(self._file)

    def _unwritable(self, error: OSError) -> SettingsError:
        return SettingsError(
            f"the dead-letter file {self._path} cannot be written: {error.strerror}. Make room, or set "
            "FRESHET_WEBHOOK_LETTERS to a file that can be; then start the bridge again: it goes on at the same record."
        )
