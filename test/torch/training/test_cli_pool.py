"""``focdepth pool`` from the outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.cli import main

SMALL = ("--size", "64x48", "--least", "2", "--most", "3", "--processes", "1")


def run(*arguments: object) -> int:
    return main(["pool", *map(str, arguments)])


def test_fills_a_folder_and_keeps_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pool"
    assert run(out, "--stacks", 1, *SMALL) == 0
    (first,) = out.glob("*.npz")
    written = first.stat().st_mtime_ns
    assert run(out, "--stacks", 2, *SMALL, "--seed", 1) == 2
    assert "rendered with seed 0, not 1; choose another folder" in capsys.readouterr().err
    assert run(out, "--stacks", 2, *SMALL) == 0
    assert f"1 of 2 stacks rendered to {out}" in capsys.readouterr().out
    assert first.stat().st_mtime_ns == written
    with np.load(first) as stack:
        assert stack["images"].shape[1:] == (48, 64, 3)
        assert 2 <= len(stack["focus"]) <= 3
        assert stack["dioptre"].shape == (48, 64)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--least", "5", "--most", "3"], "--least is 5, above --most 3"),
        (["--textures", "nowhere"], "'nowhere' does not exist"),
        (["--textures", "Middlebury"], "'Middlebury' is kept for evaluation"),
        (["--size", "big"], "'big' is no image size"),
        (["--scenes", "seas"], "'seas'"),
    ],
)
def test_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(tmp_path / "pool", *arguments) == 2
    assert message in capsys.readouterr().err
