"""Where the parts that a pipeline names by `kind` are kept.

The rooms above fill these places; contracts knows them by name only, as plugins, so that `pipeline.yaml` can be
checked as a whole before anything runs and no room has to be imported for it.
"""

import importlib
from functools import cache
from typing import Any, Final

from freshet.features.transform import Transform
from freshet.pipeline.catalogue import Catalogue

_PLACES: Final = {
    "decoder": ("freshet.ingestion.core.decoder:EventDecoder", "freshet.ingestion.core.decoders"),
    "policy": ("freshet.registry.core.policy:Policy", "freshet.registry.core.policies"),
}


@cache
def transforms() -> Catalogue[Transform]:
    """All feature transforms, ours and those of installed packages."""
    return Catalogue(Transform, importlib.import_module("freshet.features.transforms"))


@cache
def kinds_of(part: str) -> list[str]:
    """The known kinds of `decoder` or `policy`, sorted."""
    base, folder = _PLACES[part]
    module, _, name = base.partition(":")
    catalogue: Catalogue[Any] = Catalogue(
        getattr(importlib.import_module(module), name), importlib.import_module(folder)
    )
    return catalogue.kinds()
