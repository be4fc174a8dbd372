"""The parts that a pipeline names by `kind`, so that `pipeline.yaml` is checked before anything runs."""

from functools import cache

from freshet.features.transform import Transform
from freshet.pipeline.catalogue import Catalogue


@cache
def transforms() -> Catalogue[Transform]:
    """All feature transforms, ours and those of installed packages."""
    return Catalogue(Transform, "freshet.transforms")


@cache
def kinds_of(group: str) -> list[str]:
    """The known kinds of `decoders` or `policies`, sorted; their classes belong to services, above this room."""
    return Catalogue(object, f"freshet.{group}").kinds()
