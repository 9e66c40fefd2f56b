"""A person at the page of `focdepth web`, for the test in a real browser."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

WIDTH, HEIGHT = 240, 180
PATIENCE = 60_000  # ms; on an idle machine a step takes one or two seconds
TRIES = 20  # of setting a slider, or clicking a picture
# For people who want to see what the test sees.
SCREENSHOTS = os.environ.get("FOCDEPTH_SCREENSHOTS")


@dataclass
class Server:
    """A running `focdepth web`."""

    address: str
    process: subprocess.Popen[str]
    temporary: Path
    release: Path
    """Where there is this file, the slow backend does not wait any longer."""


@dataclass
class Visitor:
    """A person with an open page; notes everything that the page should not do."""

    page: Any
    address: str
    elsewhere: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def arrive(cls, browser: Any, server: Server, width: int = 1280, height: int = 800) -> Visitor:
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE)
        visitor = cls(page, server.address)
        page.on("request", lambda request: visitor._note(request.url))
        page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        page.on("console", visitor._hear)
        page.goto(server.address)
        page.wait_for_selector("#fd-run")
        return visitor

    def _note(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:")):
            self.elsewhere.append(url)

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def ask(self) -> None:
        self.page.click("#fd-run")

    def answer(self) -> str:
        """What the page says of the answer, when it is there."""
        self.page.wait_for_selector("#fd-status dl")
        self.page.wait_for_selector("#fd-depth img")
        return str(self.page.inner_text("#fd-status"))

    def text(self, selector: str, pattern: str) -> str:
        """The text of an element, as soon as it matches."""
        self.page.wait_for_function(
            "([s, p]) => new RegExp(p).test(document.querySelector(s)?.innerText ?? '')",
            arg=[selector, pattern],
        )
        return str(self.page.inner_text(selector))

    def choose(self, selector: str, choice: str) -> None:
        self.page.click(f"{selector} input")
        self.page.get_by_role("option", name=choice, exact=True).click()

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).click()

    def upload(self, *paths: Path) -> None:
        if not self.page.locator("#fd-files").is_visible():
            self.page.get_by_label("My images").check()
            self.page.wait_for_selector("#fd-files")
        clear = self.page.locator("#fd-files").get_by_label("Clear")
        if clear.count():
            clear.first.click()
            self.text("#fd-uploaded", "Nothing is uploaded")
        self.page.set_input_files("#fd-files input[type=file]", [str(path) for path in paths])

    def click_picture(self, selector: str, x: int, y: int) -> None:
        """Click the pixel of a picture."""
        image = self.page.locator(f"{selector} img")
        box = image.bounding_box()
        across, down = box["width"] / WIDTH, box["height"] / HEIGHT
        assert across == pytest.approx(down, rel=0.01)
        image.click(position={"x": across * (x + 0.5), "y": down * (y + 0.5)})

    def read_picture(self, selector: str, x: int, y: int) -> str:
        """What the page reads at a pixel; a click may miss it by one."""
        from playwright.sync_api import TimeoutError as TooLateError

        near = (
            "([s, x, y]) => { const at = /at \\((\\d+), (\\d+)\\)/.exec("
            "document.querySelector(s)?.innerText ?? ''); "
            "return at && Math.abs(at[1] - x) <= 1 && Math.abs(at[2] - y) <= 1 }"
        )
        for _ in range(TRIES):
            self.click_picture(selector, x, y)
            try:
                self.page.wait_for_function(near, arg=["#fd-reading", x, y], timeout=5000)
            except TooLateError:  # a picture that has just come may not listen yet
                continue
            return str(self.page.inner_text("#fd-reading"))
        raise AssertionError(f"nothing is read at ({x}, {y})")

    def source_of(self, selector: str) -> str:
        return str(self.page.get_attribute(f"{selector} img", "src"))

    def move(self, slider: str, *places: str) -> None:
        """Move a slider from place to place, as fast as a hand does."""
        handle = self.page.locator(f"{slider} input[type=range]")
        number = self.page.locator(f"{slider} input[type=number]")
        for _ in range(TRIES):
            for place in places:
                handle.fill(place)
            # One that has just come into view may yet be set to where the page has it, or not be
            # listened to yet: what was taken in is in the field beside it.
            self.page.wait_for_timeout(200)
            if handle.input_value() == number.input_value() == places[-1]:
                return
        raise AssertionError(f"{slider} stays at {handle.input_value()}")

    def screenshot(self, name: str) -> None:
        if SCREENSHOTS:
            self.page.screenshot(path=f"{SCREENSHOTS}/{name}.png")

    def go(self) -> None:
        self.page.close()
        assert self.elsewhere == []
        assert self.complaints == []
