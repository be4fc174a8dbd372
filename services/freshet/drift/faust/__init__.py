"""Faust over a pipeline's topics: an engine for detection, and a door for stream code of a user's own."""

from importlib import import_module

from freshet.runtime.settings import SettingsError

try:
    import_module("faust")
except ModuleNotFoundError as error:
    raise SettingsError("Faust is not installed: pip install 'freshet[faust]'.") from error

from freshet.drift.faust.pipeline_app import PipelineApp, app

__all__ = ["PipelineApp", "app"]
