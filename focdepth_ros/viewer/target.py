"""Where what is to be seen goes: to a page that is served here, to a file, to a running viewer."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from focdepth_ros.defaults import (
    DEFAULT_HOST,
    DEFAULT_VIEW_DATA_PORT,
    DEFAULT_VIEW_MEMORY_MB,
    DEFAULT_VIEW_PORT,
)
from focdepth_ros.errors import OptionError, ViewerError
from focdepth_ros.libraries import VIEWER_LIBRARIES, missing_because
from focdepth_ros.viewer.recording import ViewerRecording
from focdepth_ros.viewer.server import PageServer, answers

_SCHEMES = ("rerun+http", "rerun+https", "rerun")


@dataclass(frozen=True)
class ViewerTarget:
    """Where to show it. A page is served unless there is another place.

    Parameters
    ----------
    host : str
        Address that the page is served on.
    port, data_port : int
        Of the page, and of the data that it fetches.
    memory_mb : int
        What is kept for pages that are opened later; the oldest is dropped beyond it.
    save : str
        Recording (.rrd) to write; empty for none.
    connect : str
        A running Rerun viewer, as HOST:PORT or rerun+http://HOST:PORT/proxy; empty for none.

    Raises
    ------
    OptionError
        If a value cannot be.
    ViewerError
        If Rerun is not installed.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_VIEW_PORT
    data_port: int = DEFAULT_VIEW_DATA_PORT
    memory_mb: int = DEFAULT_VIEW_MEMORY_MB
    save: str = ""
    connect: str = ""

    def __post_init__(self) -> None:
        missing = missing_because(VIEWER_LIBRARIES, "view")
        if missing is not None:
            raise ViewerError(f"nothing can be shown: {missing}")
        _address(self.host)
        if self.port == self.data_port:
            raise OptionError(f"page and data cannot both have port {self.port}; give another")
        if self.save and Path(self.save).suffix != ".rrd":
            raise OptionError(f"the recording {self.save} must have a name that ends in .rrd")
        if self.connect:
            _viewer_url(self.connect)

    @property
    def serves(self) -> bool:
        """Whether a page is served."""
        return not (self.save or self.connect)


@dataclass(frozen=True, eq=False)
class OpenViewer:
    """A recording that goes to its target.

    Parameters
    ----------
    recording : ViewerRecording
    server : PageServer or None
        Where a page is served.
    place : str
        For people: where to look.
    """

    recording: ViewerRecording
    server: PageServer | None
    place: str


@contextmanager
def open_viewer(target: ViewerTarget, *, over_time: bool = True) -> Iterator[OpenViewer]:
    """Open the target, and close it again with all that was shown.

    `over_time` says whether there is to be more than one answer.

    Raises
    ------
    ViewerError
        If a port is taken, the page cannot be served, or no viewer answers.
    OSError
        If the file cannot be written.
    """
    server, urls, places = None, [], []
    if target.save:
        with open(target.save, "ab"):  # what cannot be is said before the work
            pass
        places.append(f"recorded to {target.save}; look at it by: rerun {target.save}")
    if target.connect:
        urls.append(_viewer_url(target.connect))
        places.append(f"sent to {urls[0]}")
    if target.serves:
        server = PageServer(_address(target.host), target.port, target.data_port, target.memory_mb)
        urls.append(server.data_url)
        places.append(f"open in a browser: {server.page_url}")
    try:
        recording = ViewerRecording(file=target.save or None, urls=urls, over_time=over_time)
    except BaseException:
        if server is not None:
            server.stop()
        raise
    try:
        yield OpenViewer(recording, server, "; ".join(places))
    finally:
        try:
            recording.flush()
        except ViewerError:  # it was said before; without its server the recording does not wait
            if server is not None:
                server.stop()
        recording.close()
        if server is not None:
            server.stop()


def _address(host: str) -> str:
    """An IP address; localhost is one."""
    if host == "localhost":
        return DEFAULT_HOST
    try:
        return str(ipaddress.ip_address(host))
    except ValueError as error:
        raise OptionError(
            f"host '{host}' is no IP address; give {DEFAULT_HOST} for this machine alone, or "
            "0.0.0.0 for all that reach it"
        ) from error


def _viewer_url(text: str) -> str:
    """The URL of a running viewer, which has to answer when it is opened."""
    url = text if "://" in text else f"rerun+http://{text}/proxy"
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in _SCHEMES or not parts.hostname or not port or parts.path != "/proxy":
        raise OptionError(
            f"'{text}' is no Rerun viewer; give HOST:PORT, or rerun+http://HOST:PORT/proxy"
        )
    if not answers(parts.hostname, port):
        raise ViewerError(
            f"no viewer answers at {parts.hostname}:{port}; start one there with `rerun`"
        )
    return url
