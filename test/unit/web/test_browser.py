"""The page in a real browser: what visitors do, and what they should not."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from playwright import sync_api
from slow_backend_page import RELEASE
from web_visitor import HEIGHT, PATIENCE, TRIES, WIDTH, Server, Visitor

from focdepth_ros.files.image_io import write_image
from focdepth_ros.libraries import WEB_LIBRARIES, missing_because
from focdepth_ros.simulation import SimulatedStack, render_random_sweep
from focdepth_ros.stack_folder.saving import save_stack
from focdepth_ros.web.scenes import SCENES

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]  # fmt: skip


def browser_path(playwright: Any) -> str:
    """The Chromium of the system, or that of playwright."""
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    own = playwright.chromium.executable_path
    if not found and not Path(own).exists():
        pytest.skip(
            "there is no Chromium; install it: apt-get install chromium (Debian), or "
            "playwright install chromium"
        )
    return found[0] if found else own


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        path = browser_path(playwright)
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def server(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    missing = missing_because(WEB_LIBRARIES, "web")  # asked, not imported: that takes seconds
    if missing:
        pytest.skip(missing)
    temporary = tmp_path_factory.mktemp("server")
    command = [
        sys.executable, "slow_backend_page.py", "--port", "0", "--scene-size", f"{WIDTH}x{HEIGHT}",
        "--max-images", "6", "--max-unpacked-mb", "5",
    ]  # fmt: skip
    release = tmp_path_factory.mktemp("release") / "go"
    errors = (tmp_path_factory.mktemp("errors") / "errors").open("w+")
    process = subprocess.Popen(
        command, cwd=Path(__file__).parents[1], text=True, stdout=subprocess.PIPE,
        stderr=errors, env={**os.environ, "TMPDIR": str(temporary), RELEASE: str(release)},
    )  # fmt: skip
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    found = None
    while found is None:  # some releases of Gradio print lines of their own before
        found = re.match(r"open (http://127\.0\.0\.1:\d+) in a browser", next(lines))
    assert list(temporary.iterdir())
    try:
        yield Server(found[1], process, temporary, release)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(found[1])
        page.wait_for_selector("#fd-run")  # a page that is open does not hold the server up
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=PATIENCE / 1000)
    finally:
        process.kill()  # if it has not ended
    assert process.returncode == 0
    assert rest == "ended\n"
    errors.seek(0)
    assert errors.read() == ""
    errors.close()
    assert list(temporary.iterdir()) == [], "files of visitors are left behind"


@pytest.fixture
def visitor(browser: Any, server: Server) -> Iterator[Visitor]:
    visitor = Visitor.arrive(browser, server)
    yield visitor
    visitor.go()


def test_a_simulated_scene(visitor: Visitor, tmp_path: Path) -> None:
    title = list(SCENES)[3]
    visitor.choose("#fd-scene", title)
    visitor.ask()
    answer = visitor.answer()
    assert re.search(r"Depth\s+0\.\d+ to \d", answer)
    assert f"{WIDTH}×{HEIGHT} pixels" in answer
    assert "% of the true depth" in answer
    assert re.search(r"\d\.\d\d m", visitor.page.inner_text("#fd-depth-bar"))
    visitor.screenshot("result")

    with visitor.page.expect_download() as download:
        visitor.page.click("#fd-depth-npy")
    download.value.save_as(tmp_path / "depth.npy")
    depth = np.load(tmp_path / "depth.npy")
    # Well inside what is known: a click may miss a pixel by one.
    known = np.argwhere(cv2.erode(np.isfinite(depth).astype(np.uint8), np.ones((5, 5))))
    for number, (y, x) in enumerate(known[[len(known) // 3, len(known) // 2]]):
        line = visitor.read_picture("#fd-depth" if number else "#fd-sharp", int(x), int(y))
        at = re.search(r"([\d.]+) m at \((\d+), (\d+)\) · confidence ([\d.]+)", line)
        assert at, f"{line}; clicked at ({x}, {y})"
        assert abs(int(at[2]) - x) <= 1
        assert abs(int(at[3]) - y) <= 1
        assert float(at[1]) == pytest.approx(depth[int(at[3]), int(at[2])], abs=6e-4)

    with visitor.page.expect_download() as download:
        visitor.page.click("#fd-report-html")
    download.value.save_as(tmp_path / "report.html")
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert title in report
    assert "Against the ground truth" in report

    visitor.tab("Slices")
    visitor.move("#fd-slice-slider", "9", "7", "5", "3")
    visitor.text("#fd-slice-caption", "Slice 3 of 10, focused at")
    visitor.tab("Refocus")
    before = visitor.source_of("#fd-refocused")
    visitor.move("#fd-refocus-slider", "2.5")
    visitor.page.wait_for_function(
        "before => document.querySelector('#fd-refocused img').src != before", arg=before
    )
    visitor.tab("Confidence")
    visitor.page.wait_for_selector("#fd-confidence img")  # seen, not only there
    visitor.tab("3-D")
    visitor.page.wait_for_selector("canvas.fd-cloud[data-drawn]")
    drawn = int(visitor.page.get_attribute("canvas.fd-cloud", "data-drawn"))
    assert drawn == np.count_nonzero(np.isfinite(depth))
    visitor.screenshot("cloud")
    visitor.page.focus("canvas.fd-cloud")
    canvas = visitor.page.locator("canvas.fd-cloud")
    seen = canvas.screenshot()
    assert canvas.screenshot() == seen
    visitor.page.keyboard.press("ArrowLeft")
    assert any(canvas.screenshot() != seen for _ in range(TRIES))
    unnamed = "[...document.querySelectorAll('img')].filter(picture => !picture.alt).length"
    assert visitor.page.evaluate(unnamed) == 0


def test_images_without_distances_then_with(visitor: Visitor, pictures: list[Path]) -> None:
    visitor.upload(*pictures)
    visitor.text("#fd-uploaded", "4 images were taken")
    visitor.ask()
    assert "no metres" in visitor.answer()
    assert visitor.page.locator("#fd-cloud-ply").is_disabled()
    assert "near" in visitor.page.inner_text("#fd-depth-bar")
    visitor.page.fill("#fd-distances textarea, #fd-distances input", "0.4, 0.6, 1.2, 4")
    visitor.ask()
    visitor.text("#fd-status", r"Depth\n")
    assert visitor.page.locator("#fd-cloud-ply").is_enabled()
    visitor.page.fill("#fd-distances textarea, #fd-distances input", "0.4, 0.6")
    visitor.ask()
    visitor.text("body", "2 focus distances for 4 images")
    visitor.screenshot("error")


def test_a_camera_that_is_not_known(visitor: Visitor, tmp_path: Path) -> None:
    sweep = render_random_sweep(1010, slices=6, width=160, height=120)
    paths = [tmp_path / f"slice_{number}.png" for number in range(6)]
    for path, item in zip(paths, sweep.stack.slices, strict=True):
        write_image(path, item.image)
    visitor.page.get_by_text("Settings", exact=True).click()
    visitor.upload(*paths)
    visitor.text("#fd-uploaded", "6 images were taken")
    distances = ", ".join(f"{item.focus_distance:.3f}" for item in sweep.stack.slices)
    visitor.page.fill("#fd-distances textarea, #fd-distances input", distances)
    visitor.ask()
    assert "sees 60 degrees across" in visitor.answer()
    visitor.tab("3-D")
    visitor.text("#fd-cloud", "Assumed field of view: 60° across")
    visitor.move("#fd-view", "90")
    visitor.text("#fd-cloud", "Assumed field of view: 90° across")
    visitor.screenshot("field_of_view")


def test_a_zip_with_a_description(
    browser: Any, server: Server, small_sweep: SimulatedStack, tmp_path: Path
) -> None:
    save_stack(tmp_path / "stack", small_sweep.stack, depth=small_sweep.depth)
    archive = tmp_path / "stack.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in (tmp_path / "stack").iterdir():
            packed.write(path, f"stack/{path.name}")
    telephone = Visitor.arrive(browser, server, 390, 844)
    telephone.upload(archive)
    telephone.text("#fd-uploaded", "4 images were taken")
    telephone.ask()
    assert "no metres" not in telephone.answer()
    assert telephone.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    telephone.screenshot("telephone")
    telephone.go()


def test_bad_uploads_are_told_in_sentences(
    visitor: Visitor, pictures: list[Path], tmp_path: Path
) -> None:
    text = tmp_path / "notes<b>.txt"
    text.write_text("hello")
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.png", bytes(50_000_000))
    other = tmp_path / "slice_9.png"
    write_image(other, np.zeros((20, 30, 3), np.uint8))
    visitor.page.get_by_label("My images").check()
    visitor.ask()
    visitor.text("#fd-status", "No images were uploaded yet")
    visitor.upload(text)
    visitor.text("#fd-status", "^\\s*$")
    visitor.text("#fd-uploaded", r"notes.*\.txt.*is no image; give")
    visitor.upload(bomb)
    visitor.text("#fd-uploaded", "bomb.zip: unpacks to 50 MB, at most 5 MB are taken")
    visitor.upload(pictures[0])
    visitor.text("#fd-uploaded", "has 1 image; a focal stack needs at least 2")
    visitor.upload(*pictures, text)
    visitor.text("#fd-uploaded", r"4 images were taken[^]*Left out[^]*: notes.*\.txt\.")
    visitor.upload(*pictures[:2], other)
    visitor.text("#fd-uploaded", "3 images were taken")
    visitor.ask()
    told = visitor.text("#fd-status", "all slices of a stack must be of one size")
    assert "/tmp" not in told
    assert "Traceback" not in told


def test_visitors_wait_for_each_other_and_the_page_does_not(
    browser: Any, server: Server, pictures: list[Path]
) -> None:
    first = Visitor.arrive(browser, server)
    first.page.get_by_text("Settings", exact=True).click()
    first.choose("#fd-backend", "slow")
    server.release.unlink(missing_ok=True)
    first.ask()
    second = Visitor.arrive(browser, server)
    second.upload(*pictures)
    second.text("#fd-uploaded", "4 images were taken")
    assert first.page.locator("#fd-status dl").count() == 0
    second.ask()
    server.release.touch()
    assert "argmax" in first.answer()  # what the slow one answers like
    assert "no metres" in second.answer()
    assert "no metres" not in first.page.inner_text("#fd-status")
    first.go()
    second.go()


def test_a_visitor_stops_and_the_queue_goes_on(
    browser: Any, server: Server, pictures: list[Path]
) -> None:
    first, second, third = (Visitor.arrive(browser, server) for _ in range(3))
    first.page.get_by_text("Settings", exact=True).click()
    first.choose("#fd-backend", "slow")
    server.release.unlink(missing_ok=True)
    for visitor in (second, third):
        visitor.upload(*pictures)
        visitor.text("#fd-uploaded", "4 images were taken")
    first.ask()
    second.ask()
    third.ask()
    first.page.wait_for_selector("#fd-stop:enabled")
    assert first.page.locator("#fd-run").is_disabled()
    third.page.click("#fd-stop")
    third.text("#fd-status", "Stopped")
    first.page.click("#fd-stop")
    server.release.touch()
    first.text("#fd-status", "Stopped")
    assert "no metres" in second.answer()
    for visitor in (first, third):
        visitor.screenshot("stopped")
        assert "Backend" not in visitor.page.inner_text("#fd-status")
        visitor.page.wait_for_selector("#fd-run:enabled")
        assert visitor.page.locator("#fd-stop").is_disabled()
    third.ask()
    assert "no metres" in third.answer()
    for visitor in (first, second, third):
        visitor.go()
