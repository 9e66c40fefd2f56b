"""Depth from defocus on datasets; commands that measure run it only where it is named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_runs import run
from synthetic_sweeps import texture

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.datasets.mobile_depth import MobileDepth
from focdepth_ros.files.image_io import write_image

QUICK = ("device=cpu", "depths=30", "epochs=1")
OPTIONS = [part for setting in QUICK for part in ("--option", f"defocus.{setting}")]


def test_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack = tmp_path / "stacks" / "simulated"
    assert run("simulate", stack, "--seed", 5, "--slices", 5, "--size", "64x48") == 0
    where = ("--dataset", "stack_folders", "--path", stack.parent, "--no-pictures")
    assert run("evaluate", *where, "-b", "defocus", *OPTIONS, "-o", tmp_path / "asked") == 0
    assert capsys.readouterr().out.splitlines()[-2].split()[:2] == ["defocus", "1"]
    assert run("evaluate", *where, "-o", tmp_path / "unasked") == 0
    assert "defocus" not in capsys.readouterr().out


def test_mobile_depth_by_its_calibration(tmp_path: Path) -> None:
    folder, calibration = tmp_path / "Aligned/Figure1/keyboard", tmp_path / "calibration/keyboard"
    folder.mkdir(parents=True)
    calibration.mkdir(parents=True)
    (calibration / "calibrated.txt").write_text("157.25 3.5\n32.5 3.5\n48 3.5\n23.2\n")
    sharp = texture()
    for number, sigma in enumerate((3.0, 0.05, 1.5)):  # in focus where that is nearest
        image = cv2.GaussianBlur(sharp, (0, 0), sigma)
        write_image(folder / f"a0{number}.jpg", np.asarray(image, np.uint8))
    stack = MobileDepth(tmp_path).load("keyboard").stack
    options = {"settings": "mobile_depth", "device": "cpu", "depths": 50, "epochs": 1}
    answer = create_backend("defocus", **options).estimate(stack)
    assert not answer.metric
    assert np.nanmedian(answer.depth) < 0.5
