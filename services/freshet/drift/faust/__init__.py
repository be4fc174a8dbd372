"""Faust over a pipeline's topics: an engine for detection, and a door for stream code of a user's own."""

from importlib.util import find_spec

from freshet.runtime.settings import SettingsError

if find_spec("faust") is None:
    raise SettingsError("Faust is not installed: pip install 'freshet[faust]'.")

from freshet.drift.faust.pipeline_app import PipelineApp, app

__all__ = ["PipelineApp", "app"]
