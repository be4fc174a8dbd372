"""What all handlers share: who asks, which pipeline is meant, and pages made of a snapshot."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as WaitTimeoutError
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from freshet.console.access import Access
from freshet.console.core.folded import Folded
from freshet.console.page_parts import Viewer
from freshet.console.rendering import Rendering
from freshet.console.snapshot import Snapshot
from freshet.console.watching import Watching
from freshet.contracts.errors import FreshetError
from freshet.operate.connection import Connection
from freshet.operate.operate_error import OperateError
from freshet.runtime.edge_body import BODY_S, LongBodyError, whole_body

T = TypeVar("T")

_FIRST_S: Final = 10.0
"""How long a page waits for the first snapshot after the start, or for an answer of the reading thread."""
_FORM_BYTES: Final = 8_192
_MOST_FIELDS: Final = 20
_LOOK_UP_S: Final = 60.0
"""How long looking for single records may take."""
NOT_OURS: Final = "This form was not sent by a page of yours, or your session has ended. Reload the page and try again."


async def fields(request: Request) -> Mapping[str, str]:
    """The fields of a form, each once, as browsers send a short form; anything else is refused."""
    length = request.headers.get("content-length", "")
    if "transfer-encoding" in request.headers:
        raise HTTPException(400, "A form is sent with its length, not in chunks.")
    if not length.isdecimal() or int(length) > _FORM_BYTES:
        raise HTTPException(413, f"A form has at most {_FORM_BYTES:,} bytes.")
    try:
        sent = await whole_body(request, _FORM_BYTES)  # whatever length was told
    except LongBodyError as error:
        raise HTTPException(413, f"A form has at most {_FORM_BYTES:,} bytes.") from error
    except TimeoutError as error:
        raise HTTPException(408, f"The form did not come within {BODY_S:.0f} s.") from error
    return dict(parse_qsl(sent.decode(errors="replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))


class SiteParts:
    """Made once; handlers keep no state of their own."""

    def __init__(self, connection: Connection, watching: Watching, access: Access, stop: threading.Event) -> None:
        self.connection, self.watching, self.access, self.stop = connection, watching, access, stop
        self.rendering = Rendering()
        self.streams = 0
        """Open pages that follow Kafka."""

    async def first(self) -> Snapshot:
        """The newest snapshot. Right after the start it waits until what there was has been read, but not for long."""
        waited_s = 0.0
        while not self._has_read() and waited_s < _FIRST_S:
            await asyncio.sleep(0.1)
            waited_s += 0.1
        if self.watching.snapshot is None:
            raise HTTPException(503, "The console has just started and has read nothing yet. Try again in a moment.")
        return self.watching.snapshot

    def _has_read(self) -> bool:
        snapshot = self.watching.snapshot
        return snapshot is not None and (snapshot.overview.kafka.caught_up or bool(snapshot.overview.kafka.trouble))

    async def known(self, request: Request) -> tuple[Snapshot, str]:
        """The newest snapshot, and the pipeline that the address names."""
        snapshot, name = await self.first(), str(request.path_params["pipeline"])
        if name not in snapshot.screens:
            known = ", ".join(snapshot.screens) or "none yet"
            raise HTTPException(404, f"There is no pipeline {name!r} here; there are: {known}.")
        self.watching.watch(name)
        return snapshot, name

    async def ask_fold(self, make: Callable[[Folded], T]) -> T:
        """What the reading thread makes of its facts; OperateError becomes a page."""
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self.watching.ask(make)), _FIRST_S)
        except OperateError as error:
            raise HTTPException(404, str(error)) from error
        except (TimeoutError, WaitTimeoutError) as error:
            raise HTTPException(503, "Kafka is being waited for. Try again in a moment.") from error

    async def look_up(self, find: Callable[[], T]) -> T:
        """Read single records, on a thread of its own; whatever Kafka or Freshet objects becomes a page."""
        try:
            return await asyncio.wait_for(asyncio.to_thread(find), _LOOK_UP_S)
        except OperateError as error:
            raise HTTPException(404, str(error)) from error
        except FreshetError as error:
            raise HTTPException(503, str(error)) from error
        except TimeoutError as error:
            raise HTTPException(503, f"It was not found within {_LOOK_UP_S:.0f} s.") from error

    def viewer(self, request: Request) -> Viewer:
        """Who asks."""
        return Viewer(self.access.may_act(request), self.access.possible)

    async def form(self, request: Request) -> Mapping[str, str]:
        """The form of somebody who may act, sent by a page of this console."""
        form = await fields(request)
        if not self.access.is_ours(request, form.get("csrf", "")):
            raise HTTPException(403, NOT_OURS)
        return form

    def page(
        self,
        request: Request,
        template: str,
        title: str,
        snapshot: Snapshot,
        *,
        parts: Mapping[str, str] | None = None,
        status: int = 200,
        **values: Any,
    ) -> Response:
        """A whole page. `stream` and `pipeline` among the values say where it follows Kafka, and of whom it is."""
        viewer = self.viewer(request)
        common: dict[str, Any] = {
            "title": title,
            "stream": "",
            "pipeline": "",
            "namespace": snapshot.overview.namespace,
            "acts": viewer.acts,
            "may_enter": viewer.may_enter,
            "csrf": self.access.csrf(request),
        }
        html = self.rendering.page(template, snapshot.now_ms, parts or {}, **(common | values))
        return HTMLResponse(html, status_code=status)

    async def failed(self, request: Request, error: HTTPException) -> Response:
        """A page that says what was wrong with a request."""
        snapshot = self.watching.snapshot
        if snapshot is None:
            return PlainTextResponse(f"{error.detail}\n", status_code=error.status_code)
        return self.page(request, "failed", "not possible", snapshot, status=error.status_code, detail=error.detail)
