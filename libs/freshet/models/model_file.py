"""A model's bytes outside the Python heap, where a session can read them by path."""

import hashlib
import os
import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

_PIECE_BYTES: Final = 1 << 20


class ModelFile:
    """An anonymous file in memory (`memfd_create`); plain memory where the system has none (not Linux).

    Reading a session from a path holds the interpreter lock for a fifth of the time that reading it from bytes does.
    Close it, or use it as a context manager; the memory is freed then, at the latest when nobody holds it any more.
    """

    def __init__(self) -> None:
        self._fd = os.memfd_create("freshet-model") if hasattr(os, "memfd_create") else None
        self._release = weakref.finalize(self, os.close, self._fd) if self._fd is not None else None
        self._memory = bytearray()
        self.size_bytes = 0
        """End of the last byte written."""

    @classmethod
    def of(cls, data: bytes) -> Self:
        """A file with this content."""
        file = cls()
        file.write(0, data)
        return file

    def write(self, offset: int, data: bytes) -> None:
        """Put bytes at this offset. The same bytes twice change nothing; gaps read as zeros."""
        self.size_bytes = max(self.size_bytes, offset + len(data))
        if self._fd is None:
            self._memory.extend(bytes(max(0, offset + len(data) - len(self._memory))))
            self._memory[offset : offset + len(data)] = data
            return
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, offset)
            view, offset = view[written:], offset + written

    def digest(self) -> str:
        """sha256 of the content, lower-case hex."""
        digest = hashlib.sha256()
        for piece in self._pieces():
            digest.update(piece)
        return digest.hexdigest()

    def content(self) -> bytes:
        """All bytes."""
        return b"".join(self._pieces())

    def source(self) -> str | bytes:
        """What a session opens: a path that is valid in this process until `close`, or the content."""
        return self.content() if self._fd is None else f"/proc/self/fd/{self._fd}"

    def close(self) -> None:
        """Free the memory. A session that was made from it keeps its own copy."""
        if self._release is not None:
            self._release()
        self._fd, self._memory, self.size_bytes = None, bytearray(), 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pieces(self) -> Iterator[bytes]:
        for start in range(0, self.size_bytes, _PIECE_BYTES):
            size = min(_PIECE_BYTES, self.size_bytes - start)
            if self._fd is None:
                yield bytes(self._memory[start : start + size])
            else:
                yield os.pread(self._fd, size, start)
