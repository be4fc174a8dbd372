"""Finds the files that ship with Freshet: schemas, topics and example pipelines."""

from functools import cache
from pathlib import Path


@cache
def schemas_dir() -> Path:
    """The `schemas/` folder: of the installed wheel, or of the checkout when installed editable."""
    return _shipped("_schemas", "schemas")


@cache
def pipelines_dir() -> Path:
    """The shipped example pipelines, one folder each."""
    return _shipped("_pipelines", "pipelines")


def _shipped(packaged: str, in_checkout: str) -> Path:
    here = Path(__file__).parent
    inside = here / packaged
    return inside if inside.is_dir() else here.parents[2] / in_checkout
