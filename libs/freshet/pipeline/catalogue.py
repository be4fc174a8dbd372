"""Finds parts by their `kind`: our own folders, and the user's packages by entry point."""

import importlib
import pkgutil
from importlib.metadata import entry_points
from types import ModuleType
from typing import Generic, TypeVar

from freshet.contracts.errors import ContractError, UnknownPartError

T = TypeVar("T")

ENTRY_POINT_GROUP = "freshet.parts"
"""A user's package adds parts by naming its modules under this entry-point group."""


class Catalogue(Generic[T]):
    """All subclasses of `base` that carry a `kind`, from the modules of a folder and from entry points.

    A duplicate kind refuses to start: which part answers must never depend on import order.
    """

    def __init__(self, base: type[T], folder: ModuleType) -> None:
        self._base = base
        self._parts: dict[str, type[T]] = {}
        for module in pkgutil.iter_modules(folder.__path__):
            self._collect(importlib.import_module(f"{folder.__name__}.{module.name}"))
        for entry_point in entry_points(group=ENTRY_POINT_GROUP):
            self._collect(entry_point.load())

    def _collect(self, module: ModuleType) -> None:
        for part in vars(module).values():
            if not (isinstance(part, type) and issubclass(part, self._base) and "kind" in vars(part)):
                continue
            kind = vars(part)["kind"]
            if self._parts.setdefault(kind, part) is not part:
                raise ContractError(
                    f"two parts call themselves {kind!r}: {self._parts[kind].__module__} and {part.__module__}. "
                    "Rename one of them or uninstall its package."
                )

    def kinds(self) -> list[str]:
        """Every known kind, sorted."""
        return sorted(self._parts)

    def find(self, kind: str) -> type[T]:
        """The part of that kind; UnknownPartError lists the known ones."""
        if kind not in self._parts:
            raise UnknownPartError(f"unknown kind {kind!r}; known are {', '.join(self.kinds())}.")
        return self._parts[kind]
