"""Fixtures of the conformance suites; they live in `support/`."""

from support.buses import bus_world

__all__ = ["bus_world"]
