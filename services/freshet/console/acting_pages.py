"""Acting: entering the token, and asking for what the terminal can ask for, with the same commands."""

from contextlib import suppress
from functools import partial
from typing import Any, Final, cast

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from freshet.console.access import from_elsewhere
from freshet.console.core.asked_commands import Act
from freshet.console.site_parts import NOT_OURS, SiteParts, fields
from freshet.contracts.messages import Action
from freshet.operate import commands
from freshet.operate.redrive import Redriven, Wanted, redrive

_EXPIRES_MS: Final = 300_000
"""As long as commands of the terminal are valid."""
_EPOCHLESS: Final = "retrain"
"""An action that does not depend on which epoch is live."""
REDRIVE: Final = "redrive"


class ActingPages:
    """Handlers."""

    def __init__(self, site: SiteParts) -> None:
        self._site = site
        self._log = structlog.get_logger("console")

    def routes(self) -> list[BaseRoute]:
        """What they answer."""
        return [
            Route("/enter", self.enter, methods=["GET", "POST"]),
            Route("/leave", self.leave, methods=["POST"]),
            Route("/pipelines/{pipeline}/confirm", self.confirm, methods=["POST"]),
            Route("/pipelines/{pipeline}/ask", self.ask, methods=["POST"]),
        ]

    async def enter(self, request: Request) -> Response:
        """Enter the token."""
        wrong = False
        target = _local(request.query_params.get("next", "/"))
        if request.method == "POST":
            if from_elsewhere(request):  # each wrong token locks everybody at that address out for a second
                raise HTTPException(403, NOT_OURS)
            form = await fields(request)
            target = _local(form.get("next", "/"))
            response = RedirectResponse(target, status_code=303)
            client = request.client.host if request.client else ""
            if self._site.access.enter(form.get("token", ""), response, client):
                self._log.info("entered", client=client)
                return response
            wrong = True
            self._log.warning("wrong_token", client=client)
        access = self._site.access
        values: dict[str, Any] = {
            "wrong": wrong,
            "next": target,
            "possible": access.possible,
            "closed": access.closed,
        }
        return self._site.page(
            request, "enter", "act", await self._site.first(), status=403 if wrong else 200, **values
        )

    async def leave(self, request: Request) -> Response:
        """Stop acting."""
        await self._site.form(request)
        response = RedirectResponse("/", status_code=303)
        self._site.access.leave(request, response)
        return response

    async def confirm(self, request: Request) -> Response:
        """What will happen, once more, for what changes who answers at once or writes events."""
        form = await self._site.form(request)
        snapshot, name = await self._site.known(request)
        act, epoch = self._asked(name, form.get("ask", ""))
        would = None
        if act.action == REDRIVE:
            bus = self._site.connection.bus(name)
            would = _sentence(
                await self._site.look_up(partial(redrive, bus, Wanted(act.reason), dry_run=True)), would=True
            )
        values: dict[str, Any] = {
            "act": act,
            "asked": f"{act.action} {epoch} {act.version or act.reason}".strip(),
            "would": would,
        }
        return self._site.page(request, "confirm", act.label, snapshot, pipeline=name, **values)

    async def ask(self, request: Request) -> Response:
        """Publish the command, or send events again."""
        form = await self._site.form(request)
        snapshot, name = await self._site.known(request)
        act, epoch = self._asked(name, form.get("ask", ""))
        if act.action == REDRIVE:
            bus = self._site.connection.bus(name)
            done = await self._site.look_up(partial(redrive, bus, Wanted(act.reason)))
            self._log.info("redriven", pipeline=name, reason=act.reason, sent=done.sent)
            told = _sentence(done, would=False)
            return self._site.page(request, "answered", act.label, snapshot, pipeline=name, act=act, told=told)
        asked = commands.command(
            name,
            cast(Action, act.action),
            expires_ms=_EXPIRES_MS,
            version=act.version,
            expected_epoch=epoch if act.action != _EPOCHLESS else None,
        )
        await self._site.look_up(partial(commands.send, self._site.connection, asked))
        self._log.info("asked", pipeline=name, action=act.action, version=act.version, command=asked.command_id)
        return RedirectResponse(f"/pipelines/{name}?asked={asked.command_id}#q7", status_code=303)

    def _asked(self, pipeline: str, text: str) -> tuple[Act, int | None]:
        """The act that a button stands for, as `action epoch version`: with the epoch and version that its page showed,
        so that the registry refuses what was meant for another one.
        """
        snapshot = self._site.watching.snapshot
        action, _, rest = text.partition(" ")
        number, _, about = rest.partition(" ")
        acts = snapshot.screens[pipeline].acting.acts if snapshot is not None else ()
        found = next((act for act in acts if act.action == action), None)
        epoch = None
        with suppress(ValueError):
            epoch = int(number)
        if found is None or epoch is None:
            raise HTTPException(400, f"{text!r} is nothing that can be asked for. Reload the page, and press again.")
        if found.off:
            raise HTTPException(409, f"{found.label} is not possible now: {found.off}")
        if about != (found.version or found.reason):
            raise HTTPException(409, f"{found.label} means something else by now. Look at the page again, then press.")
        return found, epoch or None


def _sentence(done: Redriven, *, would: bool) -> str:
    told = [f"{done.sent:,} events {'would be' if would else 'were'} sent again."]
    told += [f"{done.already:,} had been sent again before."] if done.already else []
    told += [f"{done.not_whole:,} cannot be: they were too large to be kept whole."] if done.not_whole else []
    told += [f"{done.others:,} are not events, but feedback or features."] if done.others else []
    return " ".join(told)


def _local(target: str) -> str:
    """An address of this console; any other one leads to its first page."""
    here = target.startswith("/") and not target.startswith("//") and "\\" not in target
    return target if here and target.isprintable() else "/"
