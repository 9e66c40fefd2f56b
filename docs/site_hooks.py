"""What MkDocs does besides: files of the project that the pages link to become pages of the site.

On GitHub a link to ``../config/depth_node.yaml`` shows the file. A site has only what lies in
``docs/``, so a page with its content is made for each, under ``source/``.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
SHOWN_ALWAYS = (ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md")  # they are in the navigation

_LINK = re.compile(r"(?<=\]\()([^)#\s:]+)")
_LANGUAGES = {".msg": "text", ".py": "python", ".rviz": "yaml", ".xml": "xml", ".yaml": "yaml"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every file outside of ``docs/`` that a page links to."""
    waiting = [(DOCS / f.src_uri, f.content_string) for f in files.documentation_pages()]
    targets = list(SHOWN_ALWAYS)
    shown: set[Path] = set()
    while waiting or targets:
        if waiting:
            targets += [target for target in _targets(*waiting.pop()) if DOCS not in target.parents]
        for target in targets:
            if target not in shown:
                shown.add(target)
                text = _page_of(target)
                files.append(File.generated(config, _site_path(target), content=text))
                if target.suffix == ".md":
                    waiting.append((target, text))
        targets = []
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let the links of a page lead to these pages."""
    here = page.file.src_uri
    origin = ROOT / here.removeprefix("source/") if here.startswith("source/") else DOCS / here

    def inside(match: re.Match[str]) -> str:
        target = _target(origin, match[1])
        if target is None:
            return match[1]
        return os.path.relpath(_site_path(target), Path(here).parent)

    return _LINK.sub(inside, markdown)


def _targets(origin: Path, text: str) -> list[Path]:
    found = (_target(origin, link) for link in _LINK.findall(text))
    return [target for target in found if target is not None]


def _target(origin: Path, link: str) -> Path | None:
    """The file or folder of the project that a link leads to, if it does."""
    target = Path(os.path.normpath(origin.parent / link))
    return target if ROOT in target.parents and target.exists() else None


def _site_path(target: Path) -> str:
    if DOCS in target.parents:
        return target.relative_to(DOCS).as_posix()
    path = f"source/{target.relative_to(ROOT).as_posix()}"
    return path if target.suffix == ".md" else f"{path}.md"


def _page_of(target: Path) -> str:
    if target.is_dir():
        parts = [f"## {path.name}\n\n{_code(path)}" for path in sorted(target.glob("*.*"))]
        return "\n\n".join([f"# {target.relative_to(ROOT)}", *parts])
    if target.suffix == ".md":
        return target.read_text(encoding="utf-8")
    if target.suffix == ".ipynb":
        return _notebook(json.loads(target.read_text(encoding="utf-8")))
    return f"# {target.relative_to(ROOT)}\n\n{_code(target)}"


def _code(path: Path) -> str:
    language = _LANGUAGES.get(path.suffix, "text")
    return f"````{language}\n{path.read_text(encoding='utf-8')}\n````"


def _notebook(content: dict[str, Any]) -> str:
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in content["cells"]]
    return "\n\n".join(
        text if kind == "markdown" else f"```python\n{text}\n```" for kind, text in cells
    )
