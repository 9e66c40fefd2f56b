"""The options that the commands of bags share; they mean what the parameters of the node do."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from bag_copies import SLICES, recorded
from cli_runs import run

from focdepth_ros.bags.topics import BagSettings
from focdepth_ros.cli.bag_options import bag_settings, takes_bag_settings
from focdepth_ros.messages.image_decoding import ImageLimits
from focdepth_ros.options import option_infos
from focdepth_ros.simulation import SimulatedStack
from focdepth_ros.sweep_parts.config import SweepConfig


def sweeps_found(capsys: pytest.CaptureFixture[str], bag: Path, *options: object) -> list[str]:
    capsys.readouterr()
    run("bag", "info", bag, *options)
    lines = capsys.readouterr().out.splitlines()
    return [line.strip() for line in lines if " slices of " in line]


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory, simulated: SimulatedStack) -> Path:
    return recorded(tmp_path_factory.mktemp("bags") / "long", simulated, sweeps=3)


def test_frames_become_sweeps_as_asked(long: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(sweeps_found(capsys, long)) == 3
    windows = sweeps_found(
        capsys, long, "--sweep-split", "window", "--sweep-count", 3, "--sweep-window-stride", 2
    )
    assert len(windows) > 3
    assert windows[0] == "1: 3 slices of 96x72 px, ended by window", windows
    assert sweeps_found(capsys, long, "--sweep-min-slices", SLICES + 1) == []
    short = sweeps_found(capsys, long, "--sweep-max-slices", SLICES - 1)
    assert [line.split(": ")[1] for line in short] == [
        "3 slices of 96x72 px, ended by max_slices"
    ] * 3
    assert sweeps_found(capsys, long, "--sweep-timeout", 0.02) == []
    assert sweeps_found(capsys, long, "--max-image-pixels", 96 * 72 - 1) == []


def test_defaults_are_those_of_the_settings() -> None:
    seen: list[BagSettings] = []

    def command(settings: BagSettings, path: Path) -> None:
        """Do something."""
        seen.append(settings)

    shown = takes_bag_settings(command)
    parameters = inspect.signature(shown).parameters
    assert next(iter(parameters)) == "path"
    assert {f"sweep_{info.name}" for info in option_infos(SweepConfig)} < set(parameters)
    defaults = {n: p.default.default for n, p in parameters.items() if n != "path"}
    shown(path=Path(), **defaults)
    assert seen == [BagSettings()]
    assert seen[0].sweep == SweepConfig()
    assert seen[0].limits == ImageLimits()
    assert bag_settings(**{**defaults, "extrinsic": "same"}).extrinsic == "same"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sweep-split", "odd"), "--sweep-split is 'odd'; it must be one of auto, sweep_id"),
        (
            ("--sweep-min-slices", 9, "--sweep-max-slices", 5),
            "--sweep-max-slices is 5; it must be at least min_slices, 9",
        ),
        (("--sweep-count", 1), "--sweep-count"),
        (("--sweep-timeout", 0), "--sweep-timeout"),
        (("--reference", "odd"), "'odd' is none of first, middle, last"),
        (("--depth-tolerance", -1), "--depth-tolerance"),
        (("--extrinsic", "nowhere.yaml"), "extrinsic 'nowhere.yaml' cannot be read: No such file"),
    ],
)
def test_what_does_not_go_is_said(
    long: Path, options: tuple[object, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (("info", long), ("eval", long)):
        assert run("bag", *command, *options) == 2
        assert message in capsys.readouterr().err


def test_the_truth_may_be_asked_to_be_near(long: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bag", "info", long, "--depth-tolerance", 0) == 0
    assert run("bag", "info", long, "--depth-tolerance", 0, "--reference", "first") == 1
    assert "within 0 s of the sweep" in capsys.readouterr().err
