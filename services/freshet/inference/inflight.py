"""The in-flight note: a small file in which a process finds what its dead predecessors were scoring.

It is a cache, not state: without it the counts start anew. Nothing is synced to disk, because what was written into
the mapping outlives the process, killed or crashed; it need not outlive the machine.
"""

import mmap
import os
import struct
from functools import cache
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Final

from freshet.inference.core.crash_blame import Death, Flight, Span
from freshet.inference.running import Running

_KEPT: Final = 8  # deaths: twice what condemns a version, so that its understudy's do not hide them
_SLOT_BYTES: Final = 4096
_SIZE: Final = (1 + _KEPT + 1) * _SLOT_BYTES  # a header, the deaths, and the call under way
_HEADER: Final = struct.Struct("<8s32sI")
_MAGIC: Final = b"freshet2"
# a slot: state, length of the name, number of spans; then the name, digest and version; then the spans
_STATE, _LENGTHS, _NAME, _SPANS = 0, 1, 4, 256
_LENGTHS_FORMAT: Final = struct.Struct("<BH")
_SPANS_MAX: Final = (_SLOT_BYTES - _SPANS) // 24
_IDLE, _RUNNING, _HUNG, _SHARED = 0, 1, 2, 3  # the last: running beside another call


class InFlightNote:
    """Notes the score call under way, in about 2 µs; `deaths` is what was found.

    Those are the predecessors in a row that each ended in a score call. One that ended elsewhere was no victim of a
    model, and the counts start anew after it.
    """

    def __init__(self, mapping: mmap.mmap, deaths: tuple[Death, ...], running: Running | None = None) -> None:
        self.deaths = deaths
        self._running = running or Running()
        self._running.careful |= any(death.shared for death in deaths)
        self._mapping = mapping
        self._slot = _slot(len(deaths))

    @classmethod
    def open(cls, path: Path, topic_id: str, running: Running | None = None) -> "InFlightNote":
        """Read what was left, and begin anew. Offsets mean nothing in another topic, nor do versions of a pipeline that
        was deleted with it: then nothing is found.

        `running` knows the process's other calls; by default there are none. It makes them take turns if two of them
        ran at a death that is found.

        Raises OSError if the file cannot be had, or the disk is full.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            owner = sha256(topic_id.encode()).digest()
            found = _read(file.read(), owner)
            file.seek(0)
            file.write(_written(found, owner))  # every byte: a hole would be filled later, or fail as a crash
            file.flush()
            file.truncate(_SIZE)
            return cls(mmap.mmap(file.fileno(), _SIZE), tuple(found), running)

    @classmethod
    def in_memory(cls) -> "InFlightNote":
        """A note that ends with the process, for where there is no place to write."""
        return cls(mmap.mmap(-1, _SIZE), ())

    def begin(self, flight: Flight) -> None:
        """This call begins. Its state is written last: what is noted is whole."""
        self.clear()
        _put(self._mapping, self._slot, flight)
        self._running.begin(self)

    def mark(self, *, shared: bool) -> None:
        """Note whether the call runs beside another one. A call that hangs stays noted as that."""
        if self._mapping[self._slot + _STATE] != _HUNG:
            self._mapping[self._slot + _STATE] = _SHARED if shared else _RUNNING

    def end(self) -> None:
        """The call has returned."""
        self._running.end(self)

    def clear(self) -> None:
        """Note that nothing runs."""
        self._mapping[self._slot + _STATE] = _IDLE

    def hung(self) -> None:
        """The call does not return in time. If it never does, this stays; from another thread."""
        self._mapping[self._slot + _STATE] = _HUNG


def _slot(number: int) -> int:
    return (1 + number) * _SLOT_BYTES


def _put(target: "mmap.mmap | bytearray", slot: int, flight: Flight) -> None:
    name, spans = f"{flight.digest} {flight.version}".encode()[: _SPANS - _NAME - 1], flight.spans[:_SPANS_MAX]
    _LENGTHS_FORMAT.pack_into(target, slot + _LENGTHS, len(name), len(spans))
    target[slot + _NAME : slot + _NAME + len(name)] = name
    _spans(len(spans)).pack_into(target, slot + _SPANS, *chain.from_iterable(spans))


@cache
def _spans(count: int) -> struct.Struct:
    return struct.Struct(f"<{3 * count}q")


def _written(deaths: list[Death], owner: bytes) -> bytearray:
    content = bytearray(_SIZE)
    _HEADER.pack_into(content, 0, _MAGIC, owner, len(deaths))
    for number, death in enumerate(deaths):
        _put(content, _slot(number), death.flight)
        content[_slot(number) + _STATE] = _HUNG if death.hung else _SHARED if death.shared else _RUNNING
    return content


def _read(content: bytes, owner: bytes) -> list[Death]:
    if len(content) != _SIZE:
        return []
    magic, whose, before = _HEADER.unpack_from(content)
    if (magic, whose) != (_MAGIC, owner) or before > _KEPT or content[_slot(before) + _STATE] == _IDLE:
        return []
    return [_death(content, _slot(number)) for number in range(before + 1)][-_KEPT:]


def _death(content: bytes, slot: int) -> Death:
    length, count = _LENGTHS_FORMAT.unpack_from(content, slot + _LENGTHS)
    name = content[slot + _NAME : slot + _NAME + length].decode(errors="replace")
    digest, _, version = name.partition(" ")
    numbers = iter(_spans(min(count, _SPANS_MAX)).unpack_from(content, slot + _SPANS))
    spans = tuple(map(Span, numbers, numbers, numbers))
    state = content[slot + _STATE]
    return Death(Flight(version, spans, digest), hung=state == _HUNG, shared=state == _SHARED)
