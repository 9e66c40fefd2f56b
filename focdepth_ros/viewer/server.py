"""The page with the viewer, and the data for it, served by Rerun's own program.

It is a process of its own, since what the Python SDK serves listens on all addresses of a machine.
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from focdepth_ros.errors import ViewerError
from focdepth_ros.viewer.page import ViewerPage

_START_PATIENCE = 30.0  # seconds
_END_PATIENCE = 5.0
_POLL_PERIOD = 0.05
_TAIL = 400  # characters of its last words


class PageServer:
    """Serves the page until it is stopped.

    Parameters
    ----------
    host : str
        IP address to listen on.
    port, data_port : int
        Of the page, and of the data.
    memory_mb : int
        What is kept of the data at most.

    Raises
    ------
    ViewerError
        If a port is taken, or the program does not start.
    """

    def __init__(self, host: str, port: int, data_port: int, memory_mb: int) -> None:
        for name, number in (("port", port), ("data port", data_port)):
            _check_free(host, name, number)
        address = ipaddress.ip_address(host)
        near = _near(address)
        #: Where this process sends the data to.
        self.data_url = f"rerun+http://{_in_url(near)}:{data_port}/proxy"
        seen_as = socket.gethostname() if address.is_unspecified else _in_url(host)
        #: What to open in a browser.
        self.page_url = f"http://{seen_as}:{port}"
        inner_port = _free_port(near)
        options = ["--serve-web", "--bind", host, "--port", str(data_port)]
        options += ["--web-viewer-port", str(inner_port), "--server-memory-limit", f"{memory_mb}MB"]
        options += ["--newest-first"]  # for a page that is opened late
        if not address.is_loopback:  # or the browser would keep the data from the page
            options += ["--cors-allow-origin", f"http://*:{port}"]
        self._page: ViewerPage | None = None
        self._settings = tempfile.TemporaryDirectory(prefix="focdepth-view-")
        self._log = Path(self._settings.name) / "log"
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C comes to it through `stop`, after the last data.
            self._process = subprocess.Popen(
                [_program(), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._quiet_settings()},
                start_new_session=True,
            )
        try:
            self._wait(near, inner_port, data_port)
            self._page = ViewerPage(host, port, data_port, f"http://{_in_url(near)}:{inner_port}")
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """Process id of the program."""
        return self._process.pid

    @property
    def last_words(self) -> str | None:
        """What the program said last, if it has ended by itself."""
        return self._end_of_log() if self._process.poll() is not None else None

    def stop(self) -> None:
        """End the program, unless it has been ended already."""
        if self._page is not None:
            self._page.stop()
            self._page = None
        self._process.terminate()
        try:
            self._process.wait(_END_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._settings.cleanup()

    def _wait(self, host: str, *ports: int) -> None:
        end = time.monotonic() + _START_PATIENCE
        while not all(answers(host, port) for port in ports):
            if self._process.poll() is not None or time.monotonic() > end:
                raise ViewerError(f"the viewer does not start: {self._end_of_log() or 'no answer'}")
            time.sleep(_POLL_PERIOD)

    def _end_of_log(self) -> str:
        text = self._log.read_text(encoding="utf-8", errors="replace")
        return " ".join(text.split())[-_TAIL:]

    def _quiet_settings(self) -> dict[str, str]:
        """Variables that lead the program to settings by which it reports its use to nobody."""
        config, data = (Path(self._settings.name) / name for name in ("config", "data"))
        file = config / "rerun" / "analytics.json"
        content = {
            "analytics_enabled": False,
            "analytics_id": "",
            "metadata": {},
            "config_file_path": str(file),
            "data_dir_path": str(data / "rerun" / "analytics"),
        }
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(content), encoding="utf-8")
        return {"XDG_CONFIG_HOME": str(config), "XDG_DATA_HOME": str(data)}


def answers(host: str, port: int) -> bool:
    """Whether something listens there."""
    try:
        with socket.create_connection((host, port), timeout=2.0):
            return True
    except OSError:
        return False


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _check_free(host: str, name: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the program does it: a port that was in use until just now is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            option = name.replace(" ", "-")
            raise ViewerError(
                f"{name} {port} of {host} cannot be had ({error.strerror}); is another viewer "
                f"running? choose another with --{option}"
            ) from error


def _near(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """The address by which this machine reaches what listens on another one of its own."""
    if not address.is_unspecified:
        return str(address)
    return "127.0.0.1" if address.version == 4 else "::1"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _program() -> str:
    import rerun_cli

    return str(Path(rerun_cli.__file__).parent / "rerun")
