"""The files of keys that a process is given: private ones, read once, and the trust file, which it follows."""

import threading
from pathlib import Path
from typing import Final

import structlog

from freshet.runtime.settings import Settings, SettingsError
from freshet.trust.signing_key import SigningKey, UnusableKeyError
from freshet.trust.statements import Role
from freshet.trust.trusted_keys import TrustedKeys

_LOOK_S: Final = 1.0


class TrustFile:
    """The trusted keys of now. A thread of its own reads the file each second, so that no loop waits for a disk.

    A file that can no longer be read leaves the keys as they were, and is told in the log: whoever may change the file
    could revoke nothing by removing it, nor trust anybody.
    """

    def __init__(self, path: Path) -> None:
        """Raises SettingsError if the file cannot be used."""
        self._path = path
        self._text = _read(path, "FRESHET_TRUST", "the trust file").decode(errors="replace")
        self._trouble = ""
        try:
            self._keys = TrustedKeys.parse(self._text)
        except UnusableKeyError as error:
            raise SettingsError(f"FRESHET_TRUST: {path}: {error}") from None

    def __call__(self) -> TrustedKeys:
        """The keys; the same object until the file changes."""
        return self._keys

    def refuse_disbelieved(self, key: SigningKey, role: Role, named: str) -> None:
        """Raises SettingsError if nobody would believe what the key signs in that role. `named`: where it was found."""
        if not self._keys.trusts(key.id, role):
            raise SettingsError(
                f"{named}: nobody would believe what key {key.id} signs, since {self._path} does not hold it as a "
                f"{role} key with status `trusted`. `freshet key show` prints its entry; add that, or take another key."
            )

    def follow(self) -> "TrustFile":
        """Read the file again each second, for as long as the process lives."""
        threading.Thread(target=self._follow, name="trust-file", daemon=True).start()
        return self

    def look(self) -> None:
        """Read the file now. Never raises for what is wrong with it."""
        log = structlog.get_logger("trust")
        try:
            text = self._path.read_text(errors="replace")
            if text != self._text:
                self._keys, self._text = TrustedKeys.parse(text), text
                log.info("trust_file_changed", path=str(self._path), keys=_shown(self._keys))
            self._trouble = ""
        except (OSError, UnusableKeyError) as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.error("trust_file_unusable", path=str(self._path), error=str(error), advice="the old keys hold on")

    def _follow(self) -> None:
        pause = threading.Event()
        while not pause.wait(_LOOK_S):
            self.look()


def trust_file(path: Path | None) -> TrustFile | None:
    """The file that the settings name, followed from now on; None if they name none. Raises SettingsError."""
    return None if path is None else TrustFile(path).follow()


def signing_key(path: Path | None, variable: str) -> SigningKey | None:
    """The private key that a setting names; None if it names none. Raises SettingsError."""
    if path is None:
        return None
    try:
        return SigningKey.of_pem(_read(path, variable, "the private key"))
    except UnusableKeyError as error:
        raise SettingsError(f"{variable}: {path}: {error}") from None


def release_signer(settings: Settings, keys: TrustFile | None) -> SigningKey | None:
    """The registry's private key; None if no setting names one. Raises SettingsError, also where nobody would believe
    what it signs.
    """
    return _signer(settings.release_key, "FRESHET_RELEASE_KEY", "release", keys)


def builder_signer(settings: Settings, keys: TrustFile | None) -> SigningKey | None:
    """Retraining's private key, as `release_signer`: the registry would refuse each model that it signs."""
    return _signer(settings.builder_key, "FRESHET_BUILDER_KEY", "builder", keys)


def _signer(path: Path | None, variable: str, role: Role, keys: TrustFile | None) -> SigningKey | None:
    key = signing_key(path, variable)
    if keys is not None and key is not None:
        keys.refuse_disbelieved(key, role, f"{variable}: {path}")
    return key


def _read(path: Path, variable: str, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{variable}: {what} {path} cannot be read: {error.strerror}. Mount it, or correct the path."
        ) from None


def _shown(keys: TrustedKeys) -> dict[str, str]:
    return {key.id: f"{key.role}, {key.status}" for key in keys.keys.values()}
