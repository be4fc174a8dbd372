"""`freshet model` and its commands."""

from collections.abc import Mapping
from typing import Final

from freshet.cli.lazy import lazy_app

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "pack": ("freshet.cli.model.pack:pack", "Turn a trained estimator into a bundle that can be published."),
    "check": ("freshet.cli.model.check:check", "Judge a bundle as the registry would, without publishing it."),
    "sign": ("freshet.cli.model.sign:sign", "Sign a bundle with a builder's key."),
    "publish": ("freshet.cli.model.publish:publish", "Publish a bundle, and wait for the registry's verdict."),
    "fetch": (
        "freshet.cli.model.fetch_command:fetch",
        "Write a published model as a bundle, to be signed again or kept.",
    ),
    "list": ("freshet.cli.model.view:list_command", "All versions and what became of them."),
    "show": ("freshet.cli.model.view:show", "Everything about one version."),
    "status": ("freshet.cli.model.view:status", "What answers now, and how far each worker and partition is."),
    "history": ("freshet.cli.model.history:history", "Which version answered when, and who approved it."),
    "promote": ("freshet.cli.model.ask:promote", "Let a version answer."),
    "rollback": ("freshet.cli.model.ask:rollback", "Go back to the version that answered before, at once."),
    "pause": ("freshet.cli.model.ask:pause", "Start no rollouts until resumed; what answers goes on."),
    "resume": ("freshet.cli.model.ask:resume", "Allow rollouts again."),
    "retire": ("freshet.cli.model.ask:retire", "Never let a version answer again."),
    "reinstate": ("freshet.cli.model.ask:reinstate", "Take a version back from quarantine."),
    "note": ("freshet.cli.model.ask:note", "Note something in a version's history, or tag it."),
}

app = lazy_app("Models: pack, publish, promote, roll back.", COMMANDS)
