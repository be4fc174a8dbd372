"""Pages that are made when somebody asks: models, rollouts, decisions, dead letters, and one event."""

from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from freshet.console.core.folded import Folded
from freshet.console.core.private_fields import PrivateFields, private_fields
from freshet.console.one_event import event_screens
from freshet.console.one_model import decision_rows, model_rows, model_screen, rollout_screen
from freshet.console.site_parts import SiteParts
from freshet.operate.records import hexdump
from freshet.operate.redrive import letter_at

_LONGEST_ID = 512


class RecordPages:
    """Handlers."""

    def __init__(self, site: SiteParts) -> None:
        self._site = site

    def routes(self) -> list[BaseRoute]:
        """What they answer."""
        of = "/pipelines/{pipeline}"
        return [
            Route(f"{of}/models", self.models),
            Route(f"{of}/models/{{version}}", self.model),
            Route(f"{of}/rollouts/{{epoch}}", self.rollout),
            Route(f"{of}/decisions", self.decisions),
            Route(f"{of}/dead-letters", self.letters),
            Route(f"{of}/dead-letters/{{partition}}/{{offset}}", self.letter),
            Route(f"{of}/events", self.event),
        ]

    async def models(self, request: Request) -> Response:
        """All versions of a pipeline."""
        snapshot, name = await self._site.known(request)
        rows = await self._site.ask_fold(lambda folded: model_rows(folded, name))
        return self._site.page(request, "models", "models", snapshot, pipeline=name, rows=rows)

    async def model(self, request: Request) -> Response:
        """One version."""
        snapshot, name = await self._site.known(request)
        version = str(request.path_params["version"])
        found = await self._site.ask_fold(lambda folded: model_screen(folded, name, version))
        title = found.model.version or found.model.manifest.digest[:12]
        return self._site.page(request, "model", title, snapshot, pipeline=name, m=found)

    async def rollout(self, request: Request) -> Response:
        """One epoch."""
        snapshot, name = await self._site.known(request)
        text = str(request.path_params["epoch"])
        if not text.isdecimal() or len(text) > 12:
            raise HTTPException(400, f"{text!r} is not the number of an epoch.")
        found = await self._site.ask_fold(lambda folded: rollout_screen(folded, name, int(text)))
        return self._site.page(request, "rollout", f"epoch {text}", snapshot, pipeline=name, r=found)

    async def decisions(self, request: Request) -> Response:
        """What the registry decided lately."""
        snapshot, name = await self._site.known(request)
        rows = await self._site.ask_fold(lambda folded: decision_rows(folded, name))
        return self._site.page(request, "decisions", "decisions", snapshot, pipeline=name, rows=rows)

    async def letters(self, request: Request) -> Response:
        """What was set aside, by reason."""
        snapshot, name = await self._site.known(request)
        screen = snapshot.screens[name]
        reason = request.query_params.get("reason", "")
        known = [row.reason for row in screen.aside.letters.rows] if screen.aside.letters else []
        if reason and known and reason not in known:
            raise HTTPException(404, f"Nothing was set aside for {reason!r} lately; reasons are: {', '.join(known)}.")
        return self._site.page(request, "letters", "dead letters", snapshot, pipeline=name, s=screen, reason=reason)

    async def letter(self, request: Request) -> Response:
        """One dead letter: why it was set aside, and its value, decoded or as bytes."""
        snapshot, name = await self._site.known(request)
        place = f"{request.path_params['partition']}/{request.path_params['offset']}"
        private = await self._private(name)
        bus = self._site.connection.bus(name)
        found = await self._site.look_up(partial(letter_at, bus, place))
        reader = await self._site.look_up(partial(self._site.connection.readable, name))
        role = found.role or "events"
        (value,) = await self._site.look_up(partial(reader.values, role, [found.value]))
        decoded, why = letter_value(role, value, private)
        shown = None if private else hexdump(found.value or b"", 1024)
        values: dict[str, Any] = {
            "letter": found,
            "decoded": decoded,
            "hex": shown,
            "why": why,
            "place": place.replace("/", "@"),
        }
        return self._site.page(request, "letter", values["place"], snapshot, pipeline=name, **values)

    async def event(self, request: Request) -> Response:
        """One event, from its arrival to what was learned from it."""
        snapshot, name = await self._site.known(request)
        event_id = request.query_params.get("id", "").strip()
        if len(event_id) > _LONGEST_ID:
            raise HTTPException(400, f"An event's id of more than {_LONGEST_ID} characters is not looked for.")
        found = []
        if event_id:
            private, names = await self._private(name), await self._site.ask_fold(partial(_feature_names, name))
            find = partial(event_screens, self._site.connection, name, event_id, names, private)
            found = await self._site.look_up(find)
        values: dict[str, Any] = {"event_id": event_id, "found": found, "classes": snapshot.screens[name].classes}
        return self._site.page(request, "event", "one event", snapshot, pipeline=name, **values)

    async def _private(self, pipeline: str) -> PrivateFields:
        return await self._site.ask_fold(partial(_private, pipeline))


def letter_value(role: str, value: Any, private: PrivateFields) -> tuple[dict[str, Any] | None, str]:
    """What a page shows of a dead letter's decoded value; None, and why, where it could not be decoded.

    The reason is left out where it could tell what is private.
    """
    if not isinstance(value, dict):
        return None, ""
    if "undecodable" not in value:
        return private.shown(role, value), ""
    return None, "" if private else f"{value['undecodable']}. {value.get('detail', '')}".strip()


def _private(pipeline: str, folded: Folded) -> PrivateFields:
    facts = folded.facts(pipeline)
    return private_fields(facts.event_schemas, facts.spec)


def _feature_names(pipeline: str, folded: Folded) -> tuple[str, ...]:
    spec = folded.facts(pipeline).spec
    return spec.feature_names if spec is not None else ()
