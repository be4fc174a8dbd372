"""Finds parts by their `kind`: what installed packages, Freshet's own among them, name under an entry-point group."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Generic, TypeVar

from freshet.contracts.errors import ContractError, UnknownPartError
from freshet.detectors.detector import Detector
from freshet.detectors.input_detector import InputDetector
from freshet.features.transform import Transform
from freshet.pipeline.trigger import Trigger
from freshet.training.trainer import Trainer

T = TypeVar("T")


class Catalogue(Generic[T]):
    """All subclasses of `base` that carry a `kind`, of one entry-point group: `freshet.transforms`, for example.

    An entry names a module, or a package: then every module in it is searched, so a new file is a new part. A module
    that cannot be imported, and a kind that two classes claim, are errors only for a pipeline that names that kind.
    """

    def __init__(self, base: type[T], group: str) -> None:
        self._base = base
        self._parts: dict[str, list[type[T]]] = {}
        self._broken: list[str] = []
        for entry_point in sorted(entry_points(group=group), key=lambda found: found.value):
            try:
                modules = list(_modules(entry_point.value))
            except Exception as error:  # somebody else's module may raise anything
                self._broken.append(f"{entry_point.value} cannot be imported ({type(error).__name__}: {error})")
                continue
            for module in modules:
                self._collect(module)

    def kinds(self) -> list[str]:
        """Every known kind, sorted."""
        return sorted(self._parts)

    def find(self, kind: str) -> type[T]:
        """The part of that kind.

        Raises UnknownPartError, with all known kinds, if there is none, and ContractError if several claim the kind.
        """
        parts = self._parts.get(kind, [])
        if not parts:
            broken = "".join(f" {text}: if it was to bring {kind!r}, mend or uninstall it." for text in self._broken)
            raise UnknownPartError(f"unknown kind {kind!r}; known are {', '.join(self.kinds())}.{broken}")
        if len(parts) > 1:
            raise ContractError(
                f"several parts call themselves {kind!r}: {' and '.join(part.__module__ for part in parts)}. "
                "Rename one of them or uninstall its package."
            )
        return parts[0]

    def _collect(self, module: ModuleType) -> None:
        for part in vars(module).values():
            if not (isinstance(part, type) and issubclass(part, self._base)):
                continue
            kind = vars(part).get("kind")
            if isinstance(kind, str) and part not in self._parts.setdefault(kind, []):
                self._parts[kind].append(part)


@cache
def transforms() -> Catalogue[Transform]:
    """All feature transforms, ours and those of installed packages."""
    return Catalogue(Transform, "freshet.transforms")


@cache
def detectors() -> Catalogue[Detector]:
    """All detectors, ours and those of installed packages."""
    return Catalogue(Detector, "freshet.detectors")


@cache
def input_detectors() -> Catalogue[InputDetector]:
    """Those that watch frames; they come with the same packages."""
    return Catalogue(InputDetector, "freshet.detectors")


@cache
def trainers() -> Catalogue[Trainer]:
    """All trainers, ours and those of installed packages."""
    return Catalogue(Trainer, "freshet.trainers")


@cache
def triggers() -> Catalogue[Trigger]:
    """All triggers of retraining, ours and those of installed packages."""
    return Catalogue(Trigger, "freshet.triggers")


def parts_like(base: type) -> Catalogue[Any] | None:
    """The parts that are of this base class, where pipeline.yaml takes such parts; else None."""
    found: Mapping[type, Callable[[], Catalogue[Any]]] = {
        Transform: transforms,
        Detector: detectors,
        InputDetector: input_detectors,
        Trainer: trainers,
        Trigger: triggers,
    }
    return found[base]() if base in found else None


@cache
def kinds_of(group: str) -> list[str]:
    """The known kinds of `decoders` or `policies`, sorted; their classes belong to services, above this room."""
    return Catalogue(object, f"freshet.{group}").kinds()


def _modules(name: str) -> Iterator[ModuleType]:
    """The module and, if it is a package, the modules in it."""
    module = importlib.import_module(name)
    yield module
    for inner in pkgutil.iter_modules(getattr(module, "__path__", ())):
        yield importlib.import_module(f"{name}.{inner.name}")
