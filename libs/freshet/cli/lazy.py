"""A command group that imports a command only when it is called, so that help and completion are there at once."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup


def lazy_app(about: str, commands: Mapping[str, tuple[str, str]], *, completion: bool = False) -> typer.Typer:
    """A group of commands: `commands` maps each name to where it is (`module:function` or `module:app`) and help."""

    class Group(TyperGroup):
        """Stands in for the commands until one is called."""

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            """See TyperGroup: the one place where a command is about to run, or to say what it takes."""
            name, command, rest = super().resolve_command(ctx, args)
            return name, _load(name, commands[name][0]) if name is not None else command, rest

    app = typer.Typer(cls=Group, help=about, no_args_is_help=True, add_completion=completion)
    for name, (_, line) in commands.items():
        app.command(name, help=line)(_never)
    app.callback()(_never)  # a group stays a group, even with one command
    return app


def _load(name: str, where: str) -> Any:
    module, _, attribute = where.partition(":")
    found = getattr(import_module(module), attribute)
    shell = typer.Typer(add_completion=False)
    shell.callback()(_never)
    if isinstance(found, typer.Typer):
        shell.add_typer(found, name=name)
    else:
        shell.command(name)(found)
    group = typer.main.get_command(shell)
    assert isinstance(group, TyperGroup)
    return group.commands[name]


def _never() -> None:
    """A stand-in's body; groups have none of their own."""
