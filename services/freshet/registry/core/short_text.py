"""Texts that enter records: short, whatever was asked. A record that is too large for its topic answers nobody."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from freshet.contracts.messages import Change, Command, Golden, Manifest

TEXT_BYTES: Final = 2_000
NAME_BYTES: Final = 200
_HISTORY_BYTES: Final = 32_000
_NAMES: Final = 5
_MORE: Final = " …"


def clip(text: str, limit_bytes: int = TEXT_BYTES) -> str:
    """At most so many bytes of the text, with a sign where something is missing."""
    data = text.encode()
    if len(data) <= limit_bytes:
        return text
    return data[: limit_bytes - len(_MORE.encode())].decode(errors="ignore") + _MORE


def name(text: str) -> str:
    """A name that is no longer than a name may be; a longer one ends in its digest, so that two stay two."""
    return text if len(text.encode()) <= NAME_BYTES else clip(text, 100) + sha256(text.encode()).hexdigest()[:16]


def listed(names: Iterable[str]) -> str:
    """The first five, and how many more there are."""
    found = list(names)
    more = f" and {len(found) - _NAMES} more" if len(found) > _NAMES else ""
    return ", ".join(clip(each, NAME_BYTES) for each in found[:_NAMES]) + more


def short(command: Command) -> Command:
    """The command with all that its answer repeats cut to what a record can carry."""
    return command.model_copy(
        update={
            "command_id": name(command.command_id),
            "version": name(command.version),
            "text": clip(command.text),
            "by": clip(command.by, NAME_BYTES),
        }
    )


def bounded(history: tuple[Change, ...]) -> tuple[Change, ...]:
    """The history with no more text than a record has room for: the oldest lines, but the first, lose theirs.

    Their number stays, because of two records of a version the one with more lines is the newer.
    """
    lines = [
        line if len(line.what) <= TEXT_BYTES else Change(at_ms=line.at_ms, what=clip(line.what)) for line in history
    ]
    size = sum(len(line.what.encode()) for line in lines)
    for at, line in enumerate(lines[1:-1], 1):
        if size <= _HISTORY_BYTES:
            break
        size -= len(line.what.encode())
        lines[at] = Change(at_ms=line.at_ms, what="")
    return tuple(lines)


def bare(manifest: Manifest) -> Manifest:
    """What names a manifest, without all that can be long."""
    return manifest.model_copy(
        update={
            "pipeline": name(manifest.pipeline),
            "chunk_digests": (),
            "inputs": (),
            "classes": (),
            "input_name": "",
            "output_name": "",
            "golden": Golden(rows=1, features=b"", scores=b""),
            "trainer": "",
            "lineage": {},
            "metrics": {},
        }
    )
