"""Links between the pages, to files, to headings and to pictures, as GitHub resolves them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from documents import DOCS, PAGES, README, ROOT, without_blocks

LINK = re.compile(r"!?\[[^\]]*\]\(\s*([^)\s]+)\s*\)")


def links(page: Path) -> list[str]:
    text = re.sub(r"`[^`\n]*`", "code", without_blocks(page.read_text(encoding="utf-8")))
    return LINK.findall(text)


@cache
def anchors(page: Path) -> set[str]:
    """Of the headings of a page, by the rule of GitHub."""
    found: set[str] = set()
    for title in re.findall(r"^#+ +(.*)$", without_blocks(page.read_text(encoding="utf-8")), re.M):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("\\", "")
        name = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
        number = sum(re.fullmatch(rf"{re.escape(name)}(-\d+)?", item) is not None for item in found)
        found.add(f"{name}-{number}" if number else name)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in links(page):
        address = urlsplit(link)
        if address.scheme:
            well_formed = address.scheme == "https" or link.startswith("http://make3d.")
            if not (well_formed and "." in address.netloc):
                dead.append(f"{link}: not a well-formed https address")
            continue
        target = (page.parent / address.path).resolve() if address.path else page
        if not target.is_relative_to(ROOT) or not target.exists():
            dead.append(f"{link}: no such file")
        elif address.fragment and address.fragment not in anchors(target):
            dead.append(f"{link}: no such heading")
    assert dead == []


def test_links_are_looked_at() -> None:
    assert len(PAGES) > 30
    assert "docs/images/sheet.jpg" in links(README)
    assert sum(len(links(page)) for page in PAGES) > 250
    assert "1-alignment--alignmentpy-registration" in anchors(DOCS / "classical.md")


def test_every_picture_is_shown_somewhere() -> None:
    shown = {(page.parent / link).resolve() for page in PAGES for link in links(page)}
    assert [path.name for path in (DOCS / "images").iterdir() if path not in shown] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    waiting, reached = [README], {README}
    while waiting:
        page = waiting.pop()
        for link in links(page):
            target = (page.parent / link.split("#")[0]).resolve()
            if target.suffix == ".md" and target.is_file() and target not in reached:
                reached.add(target)
                waiting.append(target)
    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in reached] == []
