"""Serving the page: where it listens, what browsers may fetch for it, and its end."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from threading import Event, Thread
from types import FrameType
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI, Response

from focdepth_ros.files.ply import ply_bytes
from focdepth_ros.processes import ending_signals
from focdepth_ros.web.handlers import Handlers
from focdepth_ros.web.limits import WebLimits
from focdepth_ros.web.listening import listen
from focdepth_ros.web.page import CSS, HEAD, THEME, TITLE, lay_out
from focdepth_ros.web.visits import MOST_WAITING, Visits

_TIDY_SECONDS = 300
_LOOK_SECONDS = 30.0
_SHUTDOWN_SECONDS = 2

# Everything comes from this server, also where Gradio would fetch something from elsewhere.
_OWN_SOURCES = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; "
    "frame-ancestors 'self'; base-uri 'self'"
)

_Message = MutableMapping[str, Any]
_Send = Callable[[_Message], Awaitable[None]]
_Receive = Callable[[], Awaitable[_Message]]


def serve(
    folder: Path,
    host: str,
    port: int | None,
    limits: WebLimits,
    scene_size: tuple[int, int],
    ready: Callable[[str, int], None],
) -> None:
    """Serve the page until Ctrl-C, SIGTERM or SIGHUP, as of a terminal that is closed.

    Parameters
    ----------
    folder : Path
        For the files of all visitors.
    host : str
        Address to listen at.
    port : int, optional
        See `listen`.
    limits : WebLimits
    scene_size : (int, int)
        Width and height of the built-in scenes in pixels.
    ready : callable
        Called with host and port when visitors can come.

    Raises
    ------
    OptionError
        If it cannot listen there.
    """
    listening = listen(host, port)
    signal.signal(signal.SIGTERM, _end)
    if signal.SIGHUP in ending_signals():
        signal.signal(signal.SIGHUP, lambda number, frame: signal.raise_signal(signal.SIGTERM))
    closing = Event()
    try:
        with listening:
            app = make_app(folder, limits, scene_size, closing)
            server = _Server(uvicorn.Config(
                app, log_level="warning", timeout_graceful_shutdown=_SHUTDOWN_SECONDS
            ))  # fmt: skip
            server.told = closing
            server.ready = lambda: ready(host, listening.getsockname()[1])
            server.run(sockets=[listening])
    except KeyboardInterrupt:
        return


def make_app(
    folder: Path, limits: WebLimits, scene_size: tuple[int, int], closing: Event
) -> Callable[[_Message, _Receive, _Send], Awaitable[None]]:
    """The page as an ASGI application that keeps the files of visitors in a folder."""
    visits = Visits(folder, limits)
    Thread(target=_keep_tidy, args=(visits, closing), name="web_tidy", daemon=True).start()
    idle = round(60.0 * limits.idle_minutes)
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(_TIDY_SECONDS, idle)
    ) as page:
        Handlers(lay_out(limits), visits, limits, scene_size, closing).connect()

        def leave(request: gr.Request) -> None:
            visits.leave(str(request.session_hash))

        page.unload(leave)
    page.queue(max_size=MOST_WAITING, default_concurrency_limit=4)
    app = FastAPI(openapi_url=None)
    app.get("/cloud/{key}.ply")(_cloud_sender(visits))
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        footer_links=[],
        show_error=True,
        max_file_size=round(limits.max_upload_mb * 1e6),
        ssr_mode=False,
        theme=THEME,
        css=CSS,
        head=HEAD,
    )
    return _with_own_sources(app)


def _keep_tidy(visits: Visits, closing: Event) -> None:
    """Also when nobody comes any more, what is too old goes."""
    while not closing.wait(_LOOK_SECONDS):
        visits.tidy()
        visits.touch()


def _cloud_sender(visits: Visits) -> Callable[[str], Response]:
    """What sends the points of an answer to the 3-D view."""

    def send(key: str) -> Response:
        visit = visits.with_key(key)
        if visit is None or visit.answer is None:
            return Response(status_code=404)
        cloud = visit.answer.cloud
        content = ply_bytes(cloud.points, cloud.colours)
        return Response(content, media_type="application/octet-stream")

    return send


class _Server(uvicorn.Server):
    """Says when it listens, and when it is to end."""

    told: Event
    ready: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.told.set()
        # Pages that are open are cut off, of which the log would say so at length.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        super().handle_exit(sig, frame)


def _with_own_sources(
    app: FastAPI,
) -> Callable[[_Message, _Receive, _Send], Awaitable[None]]:
    """The application with a header that keeps browsers from fetching anything from elsewhere."""

    async def wrapped(scope: _Message, receive: _Receive, send: _Send) -> None:
        async def send_with_header(message: _Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ())]
                headers.append((b"content-security-policy", _OWN_SOURCES.encode("ascii")))
                headers.append((b"referrer-policy", b"no-referrer"))
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, send_with_header)

    return wrapped


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
