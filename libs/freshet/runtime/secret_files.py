"""Secrets among Kafka's client settings that stand in files of their own, as containers and services are given them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

_SECRETS: Final = (
    "sasl.password",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
)
_SECRET_OF: Final = {f"{key}.file": key for key in _SECRETS}


def names_a_file(key: str, value: str) -> bool:
    """Whether this setting names the file of a secret: then it is no secret itself, and may be shown."""
    return key in _SECRET_OF and _is_a_place(value)


def with_secrets(kafka: Mapping[str, str]) -> dict[str, str]:
    """These client settings with the content of each file that a key such as `sasl.password.file` names.

    Ends of lines at the end of a file do not count. Raises ValueError with a sentence for each file that cannot be
    used; no sentence holds a secret, nor what was given in place of a file's name.
    """
    found, problems = dict(kafka), []
    for key, secret in _SECRET_OF.items():
        if key not in kafka:
            continue
        place = found.pop(key)
        try:
            found[secret] = _content(place, taken=secret if secret in kafka else "")
        except ValueError as error:
            problems.append(f"{key} {error}")
    if problems:
        raise ValueError("; ".join(problems))
    return found


def _content(place: str, *, taken: str) -> str:
    if taken:
        raise ValueError(f"and {taken} are both set: leave one away")
    if not _is_a_place(place):
        raise ValueError("must name a file, by its whole path from / on")
    try:
        text = Path(place).read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"names {place}, which is no text in UTF-8") from None
    except OSError as error:
        raise ValueError(f"names {place}, which cannot be read: {error.strerror}") from None
    if not text:
        raise ValueError(f"names {place}, which is empty")
    if "\0" in text:
        raise ValueError(f"names {place}, which is no text: it holds a zero byte")
    return text


def _is_a_place(value: str) -> bool:
    """A secret that was given by mistake is none, so that it is never shown as one."""
    return value.startswith("/") and value.isprintable()
