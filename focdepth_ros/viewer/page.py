"""The page with the viewer, handed on from Rerun's own server so that it stays by itself.

As Rerun serves it, the page asks for a font, for news and for examples elsewhere, and reports its
use. Here it comes with a content security policy, by which the browser lets it talk to this
machine alone; and it is told by itself where its data is, under whatever name it was opened.
"""

from __future__ import annotations

import shutil
import socket
import threading
import urllib.error
import urllib.request
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

_COPIED_HEADERS = ("Content-Type", "Content-Length", "Content-Encoding", "ETag")
_TIMEOUT = 30.0  # seconds
# The page is on this machine: no proxy leads to it.
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ViewerPage:
    """Serves the page in threads of its own until it is stopped.

    Parameters
    ----------
    host : str
        IP address to listen on.
    port : int
        Of the page.
    data_port : int
        Where the data is served, under the same name as the page.
    source : str
        URL of Rerun's own page.

    Raises
    ------
    OSError
        If the port is taken.
    """

    def __init__(self, host: str, port: int, data_port: int, source: str) -> None:
        handler = type("Handler", (_PageHandler,), {"data_port": data_port, "source": source})
        kind = _ServerOfIPv6 if ":" in host else _Server
        self._server = kind((host, port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is no error."""


class _ServerOfIPv6(_Server):
    address_family = socket.AF_INET6


class _PageHandler(BaseHTTPRequestHandler):
    data_port: int
    source: str

    def do_GET(self) -> None:
        """Send a file of the page, or where the data of the page is."""
        seen_as = urlsplit(f"//{self.headers.get('Host', '')}").hostname or "127.0.0.1"
        host = f"[{seen_as}]" if ":" in seen_as else seen_as
        if not self.path.startswith("/"):  # it would name another server than Rerun's own
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        path = urlsplit(self.path)
        data = f"{host}:{self.data_port}"
        if path.path == "/" and "url" not in parse_qs(path.query):
            self.send_response(HTTPStatus.FOUND)
            url = quote(f"rerun+http://{data}/proxy", safe="")
            self.send_header("Location", f"/?url={url}&hide_welcome_screen=1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        request = urllib.request.Request(self.source + path.path)
        try:
            with _DIRECTLY.open(request, timeout=_TIMEOUT) as answer:
                self._hand_on(answer, data)
        except urllib.error.HTTPError as error:
            self.send_error(error.code)
        except urllib.error.URLError:
            self.send_error(HTTPStatus.BAD_GATEWAY)

    def _hand_on(self, answer: Any, data: str) -> None:
        self.send_response(answer.status)
        for name in _COPIED_HEADERS:
            if answer.headers[name] is not None:
                self.send_header(name, answer.headers[name])
        own = "'self' 'unsafe-inline' 'wasm-unsafe-eval' data: blob:"
        policy = f"default-src {own}; connect-src 'self' data: blob: http://{data}"
        self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        shutil.copyfileobj(answer, self.wfile)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are no news."""
