"""``focdepth weights`` and ``focdepth export`` from the outside, where torch need not be."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cli_runs import run

from focdepth_ros.models import weights_index
from focdepth_ros.models.weights_index import ShippedWeights

CONTENT = b"weights"


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two weights, of which one is there."""
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    entries = tuple(
        ShippedWeights(
            name, f"{name}.safetensors", "net", preset, sha256, 4_300_000, summary, tmp_path
        )
        for name, preset, summary in (("net_tiny", "tiny", "small"), ("net_base", "base", "large"))
    )
    (tmp_path / "net_tiny.safetensors").write_bytes(CONTENT)
    (tmp_path / "net_tiny.md").write_text("# A card\n\nWhat it can do.\n")
    monkeypatch.setattr(weights_index, "shipped_weights", lambda: entries)
    return tmp_path


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = ("torch_of_no_kind",)
    monkeypatch.setattr("focdepth_ros.libraries.NETWORK_LIBRARIES", libraries)


@pytest.mark.usefixtures("shipped")
def test_lists_name_preset_size_and_state(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("weights") == 0
    assert capsys.readouterr().out.splitlines() == [
        "net_tiny  tiny       4.3 MB  verified  small",
        "net_base  base       4.3 MB  missing   large",
    ]


def test_damage_shows_in_the_list(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shipped / "net_base.safetensors").write_bytes(b"other")
    assert run("weights") == 0
    assert "damaged" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [(), ("verify",)])
def test_says_that_there_are_none(
    arguments: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weights_index, "shipped_weights", lambda: ())
    assert run("weights", *arguments) == 0
    assert "no weights come with this package" in capsys.readouterr().out


@pytest.mark.usefixtures("shipped")
def test_prints_the_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("weights", "card", "net_tiny") == 0
    assert capsys.readouterr().out == "# A card\n\nWhat it can do.\n"
    assert run("weights", "card", "net_huge") == 2
    assert "choose one of net_tiny, net_base" in capsys.readouterr().err


@pytest.mark.usefixtures("shipped", "without_torch")
def test_checks_only_the_checksum_where_torch_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("weights", "verify", "net_tiny") == 0
    out = capsys.readouterr().out
    assert out.startswith("net_tiny: verified by its checksum, not loaded: torch_of_no_kind is")
    assert run("weights", "verify") == 2
    assert "error: weights 'net_base' are missing: " in capsys.readouterr().err
    assert run("weights", "verify", "own.safetensors") == 2
    assert "own.safetensors cannot be loaded here: torch_of_no_kind" in capsys.readouterr().err


@pytest.mark.usefixtures("without_torch")
def test_all_are_checked_and_each_fault_is_named(
    shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shipped / "net_tiny.safetensors").write_bytes(b"other")
    assert run("weights", "verify") == 2
    error = capsys.readouterr().err
    assert "weights 'net_tiny' are damaged: " in error
    assert "weights 'net_base' are missing: " in error
    (shipped / "net_tiny.safetensors").unlink()
    (shipped / "net_base.safetensors").write_bytes(CONTENT)
    assert run("weights", "verify") == 2
    assert "net_base: verified by its checksum" in capsys.readouterr().out


def test_export_tells_of_which_backend_the_weights_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", "--help") == 0
    assert "Of focdepthformer, as" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--size", "640"), "'640' is no image size"),
        (("--slices", "1"), "Invalid value for '--slices'"),
        ((), "networks cannot be exported here: torch_of_no_kind"),
    ],
)
@pytest.mark.usefixtures("without_torch")
def test_export_says_what_is_wrong(
    options: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", "--output", tmp_path / "net.onnx", *options) == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
