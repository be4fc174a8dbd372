"""Keys, passwords and logins of a secured broker: made once, of chance, and kept where only their owner reads them."""

import json
import os
import secrets
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freshet.operate.broker_record import ADMIN, login_file
from freshet.operate.operate_error import LocalError
from freshet.runtime.rights import PRINCIPALS, user_name

NODE: Final = "CN=freshet-local-broker"
"""Whose certificate it is: with it the broker logs in to its own controller."""

_ALIAS: Final = "broker"
_DAYS: Final = 3650
_KEYTOOL_S: Final = 60
_STORE_PASSWORD: Final = "FRESHET_STORE_PASSWORD"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, slots=True)
class Credentials:
    """The folder `.local/kafka/secured` of a root. Whoever may read it may do everything on this broker."""

    root: Path

    @property
    def folder(self) -> Path:
        """Where they are."""
        return login_file(self.root, ADMIN).parents[1]

    @property
    def made(self) -> bool:
        """Whether the broker of this root is a secured one."""
        return self.certificate.exists()

    @property
    def certificate(self) -> Path:
        """The broker's certificate, which clients trust; signed by itself."""
        return self.folder / "ca.pem"

    @property
    def key_store(self) -> Path:
        """The broker's key and certificate."""
        return self.folder / "broker.p12"

    def make(self, java: Path) -> None:
        """Make what is not there yet: a key, a certificate, and a password for each principal; keep what is."""
        for folder in (self.folder, self.folder / "logins"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.made:
            self._make_certificate(java.with_name("keytool"))
        for principal in (ADMIN, *PRINCIPALS):
            known = self.login(principal) if login_file(self.root, principal).exists() else {}
            password = known.get("sasl.password") or secrets.token_urlsafe(24)
            login = self._login(principal, password)
            if login != known:  # new, or the folder has moved
                write_private(login_file(self.root, principal), json.dumps(login, indent=2) + "\n")

    def login(self, principal: str) -> Mapping[str, str]:
        """Client settings with which a principal logs in. Raises LocalError if there are none for it."""
        try:
            found: dict[str, str] = json.loads(login_file(self.root, principal).read_text())
        except FileNotFoundError:
            raise LocalError(
                f"{principal} has no login on the broker of {self.root}: {', '.join(PRINCIPALS)} have one."
            ) from None
        return found

    def passwords(self) -> dict[str, str]:
        """The password of each user, by the name that Kafka knows it by."""
        logins = [self.login(principal) for principal in (ADMIN, *PRINCIPALS)]
        return {login["sasl.username"]: login["sasl.password"] for login in logins}

    def store_password(self) -> str:
        """What opens the key store."""
        return (self.folder / "store-password").read_text()

    def _login(self, principal: str, password: str) -> dict[str, str]:
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user_name(principal),
            "sasl.password": password,
            "ssl.ca.location": str(self.certificate),
        }

    def _make_certificate(self, keytool: Path) -> None:
        self.key_store.unlink(missing_ok=True)  # of one that was interrupted
        write_private(self.folder / "store-password", secrets.token_urlsafe(24))
        store = ("-alias", _ALIAS, "-keystore", str(self.key_store), "-storepass:env", _STORE_PASSWORD)
        name = ("-dname", NODE, "-ext", "san=dns:localhost,ip:127.0.0.1", "-validity", str(_DAYS))
        kind = ("-storetype", "PKCS12", "-keyalg", "EC", "-groupname", "secp256r1")
        self._keytool([str(keytool), "-genkeypair", *kind, *name, *store])
        certificate = self._keytool([str(keytool), "-exportcert", "-rfc", *store])
        write_private(self.certificate, certificate)  # last: it says that the rest is there

    def _keytool(self, command: Iterable[str]) -> str:
        """Run Java's tool for keys, which is told the password by its environment: `ps` shows arguments to all."""
        environment = {**os.environ, _STORE_PASSWORD: self.store_password()}
        try:
            done = subprocess.run(
                [*command], env=environment, capture_output=True, text=True, timeout=_KEYTOOL_S, check=True, umask=0o077
            )
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stdout", None) or error
            raise LocalError(f"the broker's certificate could not be made with Java's keytool: {said}") from None
        return done.stdout


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody but its owner may read, whole or not at all."""
    scratch = path.with_name(f"{path.name}.new")
    scratch.unlink(missing_ok=True)  # its mode would stay
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    scratch.replace(path)
