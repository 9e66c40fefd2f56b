"""The index of the weights that come with the package."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from focdepth_ros.backends.registry import backend_names
from focdepth_ros.errors import WeightsError
from focdepth_ros.models import weights_index
from focdepth_ros.models.weights_index import (
    DAMAGED,
    MISSING,
    VERIFIED,
    choose_weights,
    find_weights,
    shipped_weights,
)

CONTENT = b"weights"
ENTRY: dict[str, Any] = {
    "name": "net_tiny",
    "file": "net_tiny.safetensors",
    "architecture": "net",
    "preset": "tiny",
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "size": len(CONTENT),
    "summary": "small",
}
OTHER = {**ENTRY, "name": "net_base", "file": "net_base.safetensors"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "index.yaml").write_text(yaml.safe_dump([ENTRY, OTHER]))
    (tmp_path / "net_tiny.safetensors").write_bytes(CONTENT)
    (tmp_path / "net_tiny.md").write_text("# Card\n")
    return tmp_path


@pytest.fixture
def shipped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = shipped_weights(folder)
    monkeypatch.setattr(weights_index, "shipped_weights", lambda: entries)


def test_the_index_of_this_package_is_in_order() -> None:
    for entry in shipped_weights():
        assert entry.state() == VERIFIED, entry.name
        assert entry.path.stat().st_size == entry.size
        assert entry.architecture in backend_names()
        assert len(entry.card().splitlines()) > 5
        assert entry.summary
    named = {entry.file for entry in shipped_weights()}
    assert named == {path.name for path in weights_index.WEIGHTS_DIR.glob("*.safetensors")}


def test_states(folder: Path) -> None:
    tiny, base = shipped_weights(folder)
    assert (tiny.state(), base.state()) == (VERIFIED, MISSING)
    tiny.check()
    base.path.write_bytes(CONTENT[:3])
    assert base.state() == DAMAGED
    with pytest.raises(WeightsError, match="'net_base' are damaged: .*install the package again"):
        base.check()
    base.path.unlink()
    base.path.mkdir()
    assert base.state() == DAMAGED


def test_cards(folder: Path) -> None:
    tiny, base = shipped_weights(folder)
    assert tiny.card() == "# Card\n"
    with pytest.raises(WeightsError, match="card of weights 'net_base' cannot be read: .*net_base"):
        base.card()


def test_nothing_need_be_shipped(tmp_path: Path) -> None:
    (tmp_path / "index.yaml").write_text("[]")
    assert shipped_weights(tmp_path) == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: 3", "is no list of weights"),
        ("- 3", "has the entry 3; it must have name, file, architecture"),
        ("[{", "cannot be read: "),
        ("!!python/object/apply:os.system ['true']", "cannot be read: "),
        (yaml.safe_dump([{**ENTRY, "colour": 1}]), "and no more"),
        (yaml.safe_dump([{**ENTRY, "size": "7"}]), "has size '7'; it must be of type int"),
        (yaml.safe_dump([{**ENTRY, "file": "../x.safetensors"}]), "file '../x.safetensors'; it"),
        (yaml.safe_dump([{**ENTRY, "file": "x.pt"}]), "file 'x.pt'; it must be the name of"),
        (yaml.safe_dump([ENTRY, ENTRY]), "has net_tiny more than once"),
    ],
)
def test_an_index_of_no_use_is_named(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "index.yaml").write_text(content)
    with pytest.raises(WeightsError, match="index.yaml") as raised:
        shipped_weights(tmp_path)
    assert words in str(raised.value)


def test_no_index_at_all(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="index.yaml cannot be read: .*install the package"):
        shipped_weights(tmp_path)


@pytest.mark.usefixtures("shipped")
def test_choosing(folder: Path) -> None:
    tiny = find_weights("net_tiny")
    for text in ("", "net_tiny"):
        chosen = choose_weights(text, "net")
        assert (chosen.path, chosen.sha256) == (tiny.path, tiny.sha256)
    own = choose_weights("some/where.safetensors", "net")
    assert (own.path, own.sha256) == (Path("some/where.safetensors"), None)
    assert choose_weights("~/w.safetensors", "net").path == Path.home() / "w.safetensors"


@pytest.mark.usefixtures("shipped")
def test_a_file_of_another_kind_is_not_said_to_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "official_model.pth"
    path.write_bytes(b"checkpoint")
    with pytest.raises(WeightsError, match=r"official_model.pth: only .safetensors files are"):
        choose_weights(str(path), "net")


@pytest.mark.usefixtures("shipped")
def test_weights_that_are_not_there_are_named() -> None:
    with pytest.raises(WeightsError, match="no weights 'huge'; choose one of net_tiny, net_base"):
        find_weights("huge")
    words = "no weights 'huge' of 'net'; choose one of net_tiny, net_base, or give the path of a"
    with pytest.raises(WeightsError, match=words):
        choose_weights("huge", "net")
    words = "no weights of 'other' are shipped; train some with `focdepth train`, or give the path"
    with pytest.raises(WeightsError, match=words):
        choose_weights("", "other")
