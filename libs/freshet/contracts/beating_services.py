"""Freshet's own services that beat on `freshet.workers`. They follow from who writes what in `schemas/topics.yaml`.

A service that another package brings is in no such table: it is known from its first beat on.
"""

from functools import cache
from typing import Final

from freshet.contracts.topic_table import EVERY_SERVICE, topic_table

_NO_BEAT: Final = frozenset({EVERY_SERVICE, "producers", "cli", "console", "gateway"})
"""Writers that are no services with a loop: users' programs, commands, and edges."""


@cache
def services_of_pipelines() -> tuple[str, ...]:
    """Those that answer a pipeline's records, in the order in which records take them. What they cannot answer they set
    aside, and nobody else does.
    """
    return tuple(name for name in topic_table()["dead-letters"].writers if name not in _NO_BEAT)


@cache
def services_of_all() -> tuple[str, ...]:
    """Those that decide for all pipelines, one process each, by name."""
    writers = {name for topic in topic_table().values() for name in topic.writers}
    return tuple(sorted(writers - _NO_BEAT - {*services_of_pipelines()}))
