"""The page of the viewer: where it listens, what it lets a browser do, and how it ends."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cli_runs import run
from viewer_recordings import free_ports, needs_viewer

from focdepth_ros.viewer.page import ViewerPage

PATIENCE = 60.0  # seconds
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


class Page:
    """`focdepth view` of a folder of results, which serves its page."""

    def __init__(self, results: Path, *options: object) -> None:
        self.port, self.data_port = free_ports(2)
        ports = ["--port", self.port, "--data-port", self.data_port]
        command = ["view", results, *ports, *options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "focdepth_ros.cli", *map(str, command)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        self.url = f"http://127.0.0.1:{self.port}"

    def descendants(self) -> list[int]:
        """Processes that it has started, also those that have been left behind by their parent."""
        marks = (b"rerun", f"--port\0{self.data_port}\0".encode())
        commands = Path("/proc").glob("[0-9]*/cmdline")
        return [
            int(path.parent.name)
            for path in commands
            if all(mark in _content(path) for mark in marks)
        ]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="module")
def results(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "my_depth"
    assert run("estimate", simulated, "--output", folder, "--min-confidence", "0.01") == 0
    return folder


@pytest.fixture
def page(results: Path) -> Iterator[Page]:
    page = Page(results)
    yield page
    page.process.kill()
    page.process.wait()
    for number in page.descendants():
        os.kill(number, signal.SIGKILL)


def fetched(url: str, host: str = "") -> Any:
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *arguments: Any, **more: Any) -> None:
            return None

    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    try:
        return urllib.request.build_opener(Stay).open(request, timeout=PATIENCE)
    except urllib.error.HTTPError as answer:
        return answer


@needs_viewer
def test_the_page_is_served_to_this_machine_and_ends_by_ctrl_c(page: Page) -> None:
    assert page.first_line == f"open in a browser: {page.url}\n"
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
                 if line.split()[3] == "0A"]  # fmt: skip
    for port in (page.port, page.data_port):
        assert [place for place in listening if place.endswith(f":{port:04X}")] == [
            f"0100007F:{port:04X}"
        ]
    # It finds its data under whatever name it was opened.
    answer = fetched(page.url, host=f"robot.local:{page.port}")
    assert answer.status == 302
    data = f"robot.local%3A{page.data_port}%2Fproxy"
    assert answer.headers["Location"].startswith(f"/?url=rerun%2Bhttp%3A%2F%2F{data}")
    # The viewer itself comes, and may talk to nobody but to this machine.
    answer = fetched(f"{page.url}/?url=x")
    assert b"<html" in answer.read().lower()
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self' " in policy
    assert f"connect-src 'self' data: blob: http://127.0.0.1:{page.data_port}" in policy
    assert "https" not in policy
    assert fetched(f"{page.url}/no_such_file").status == 404
    assert len(page.descendants()) == 1
    page.process.send_signal(signal.SIGINT)
    assert page.process.wait(PATIENCE) == 0
    assert page.descendants() == []
    assert page.process.stdout is not None
    assert page.process.stdout.read() == "Ctrl-C ends it\n"


def test_a_page_is_handed_on_from_its_own_server_only() -> None:
    """A request may name another server where the path should be; it is refused."""
    asked: list[str] = []

    class Inner(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    port, other = free_ports(2)
    with ThreadingHTTPServer(("127.0.0.1", 0), Inner) as inner:
        threading.Thread(target=inner.serve_forever, daemon=True).start()
        at = f"127.0.0.1:{inner.server_address[1]}"
        page = ViewerPage("127.0.0.1", port, other, f"http://{at}")
        # Nobody listens where this one's page should come from.
        lost = ViewerPage("127.0.0.1", other, port, "http://127.0.0.1:9")
        try:
            assert status(port, "/file") == 200
            assert asked == ["/file"]
            for path in (f"@{at}/secret", f"http://{at}/secret", "secret"):
                assert status(port, path) == 400
            assert asked == ["/file"]
            assert status(other, "/file") == 502
        finally:
            page.stop()
            lost.stop()
            inner.shutdown()


def status(port: int, path: str) -> int:
    """Of the answer to a request as it is written here, which no library mends."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
        return int(client.makefile("rb").readline().split()[1])


@needs_viewer
def test_where_its_server_dies_it_says_so_and_ends(page: Page) -> None:
    (server,) = page.descendants()
    os.kill(server, signal.SIGKILL)
    assert page.process.wait(PATIENCE) == 2
    assert page.process.stdout is not None
    assert "error: the page is not served any more" in page.process.stdout.read()


@needs_viewer
@pytest.mark.slow
@pytest.mark.skipif(
    CHROMIUM is None or find_spec("playwright") is None,
    reason="no Chromium, or playwright is not installed: make test-view",
)
def test_a_browser_shows_the_cloud_and_the_depth(page: Page, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    software = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # where there is no GPU
    quiet = ["--no-sandbox", "--no-first-run", "--disable-background-networking"]
    finished: list[str] = []
    file = tmp_path / "page.png"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*software, *quiet])
        tab = browser.new_page(viewport={"width": 1000, "height": 640})
        tab.on("requestfinished", lambda request: finished.append(request.url))
        tab.goto(page.url)
        end = time.monotonic() + 6 * PATIENCE
        while time.monotonic() < end:
            time.sleep(5.0)
            tab.screenshot(path=file, timeout=4e3 * PATIENCE)
            picture = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2HSV)
            # The panel of the depth is at the right, and the only thing of strong colours there.
            panel = picture[190:330, 670:]
            strong = (panel[..., 1] > 150) & (panel[..., 2] > 80)
            if strong.mean() > 0.1 and np.ptp(panel[..., 0][strong]) > 40:
                break
        else:
            pytest.fail(f"no depth is to be seen on the page: {file}")
        browser.close()
    # Whatever the page asks for elsewhere, it does not get.
    places = {url.split("/")[2] for url in finished if url.startswith("http")}
    assert places <= {f"127.0.0.1:{page.port}", f"127.0.0.1:{page.data_port}"}
