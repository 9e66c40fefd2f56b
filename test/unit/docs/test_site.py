"""The site that `make docs` builds: whole, searchable, and independent of any network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import DOCS, ROOT

pytest.importorskip("material", reason="mkdocs-material is not installed")

LOADED = re.compile(r'<(?:script|img|iframe|link)\b[^>]*?(?:src|href)="((?:https?:)?//[^"]+)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        [*command, "--config-file", ROOT / "mkdocs.yml", "--site-dir", folder],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr  # as for a page that is not in the nav
    return folder


def test_every_page_is_there(site: Path) -> None:
    pages = [path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")]
    assert [str(page) for page in pages if not (site / page).is_file()] == []
    assert not list(site.rglob("*.py"))


def test_files_that_pages_link_to_are_pages(site: Path) -> None:
    shown = (site / "source/config/drivers.html").read_text(encoding="utf-8")
    assert "v4l2_camera.yaml" in shown
    assert "focus_absolute" in shown
    nodes = (site / "nodes.html").read_text(encoding="utf-8")
    assert 'href="source/config/depth_node.yaml.html"' in nodes
    assert (site / "source/CHANGELOG.html").is_file()


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    outside = {link for page in pages for link in LOADED.findall(page.read_text(encoding="utf-8"))}
    assert outside == set()
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"url\(\s*['\"]?(?:https?:)?//", styles) == []


def test_it_can_be_searched(site: Path) -> None:
    index = json.loads((site / "search/search_index.json").read_text(encoding="utf-8"))
    found = [item["location"] for item in index["docs"] if "lens map" in item["text"].lower()]
    assert any(place.startswith("calibration.html") for place in found)
