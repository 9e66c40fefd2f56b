from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from focdepth_ros.defocus.plots import save_epoch_plot, save_loss_curve
from focdepth_ros.defocus.solver import EpochLoss, EpochState
from focdepth_ros.files.image_io import read_image


def state(channels: int, value: float = 0.2) -> EpochState:
    dioptre = torch.linspace(0.0, 1.0, 320)[None].repeat(240, 1)  # as far as infinity
    image = torch.full((240, 320, channels), value)
    residual = torch.zeros(240, 320)
    residual[:, 160:] = 0.02
    return EpochState(EpochLoss(3, 2e-3, 1e-3, 50, 1.5), 10, dioptre, image, lambda: residual)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_shows_image_depth_and_residual_in_colours(tmp_path: Path, channels: int) -> None:
    path = save_epoch_plot(
        tmp_path / "new", state(channels), linear_light=False, limits=(1.0, 10.0)
    )
    assert path == tmp_path / "new" / "epoch_003.png"
    sheet = read_image(path)
    left, right = sheet[100:300, 20:480], sheet[100:300, 500:890]
    np.testing.assert_array_equal(left, 51)
    far, near = right[100, 10].astype(int), right[100, -10].astype(int)
    assert far[2] > far[0]  # cold
    assert near[0] > near[2]  # warm
    small, large = sheet[200, 1050].astype(int), sheet[200, 1400].astype(int)
    assert small[2] > small[0]
    assert large[0] > large[2]


def test_linear_light_is_shown_as_srgb(tmp_path: Path) -> None:
    sheet = read_image(save_epoch_plot(tmp_path, state(3, 0.2140), linear_light=True))
    np.testing.assert_array_equal(sheet[100:300, 20:480], 127)


def test_the_curve_goes_through_both_steps_of_every_epoch(tmp_path: Path) -> None:
    losses = [EpochLoss(n, 10.0**-n, 10.0 ** (-n - 0.5), 10, 1.0) for n in range(1, 6)]
    path = save_loss_curve(tmp_path / "new", losses)
    picture = read_image(path)
    assert path.name == "loss.png"
    tops = []
    for colour in ((200, 40, 40), (31, 95, 180)):
        at = (picture == colour).all(axis=2).astype(np.uint8)
        count, _, _, centres = cv2.connectedComponentsWithStats(at)
        assert count - 1 == 5
        tops.append(centres[1:][np.argsort(centres[1:, 0])])
    in_turns = np.stack(tops, axis=1).reshape(-1, 2)
    assert (np.diff(in_turns, axis=0) > 0).all()  # to the right and down
