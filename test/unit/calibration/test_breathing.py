"""The magnification of a sweep is measured, and a lens map takes it up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from focdepth_ros.alignment import Aligner
from focdepth_ros.calibration.breathing import Breathing, measure_breathing, with_magnification
from focdepth_ros.errors import CalibrationError, OptionError
from focdepth_ros.files.image_io import write_image
from focdepth_ros.lens.lens_map import LensMap, write_lens_map
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.registration.motion import similarity_part
from focdepth_ros.stack import Slice
from focdepth_ros.stack_folder.positions import with_lens_positions
from focdepth_ros.stack_folder.reading import StackFolder

REAL = Path(__file__).parents[4] / "shared/data/stacks/webcam_sweep"
SIZE = (240, 180)
POSITIONS = np.arange(0.0, 251.0, 25.0)


def true_size(positions: np.ndarray) -> np.ndarray:
    """Of a lens that does not move below 50, then grows the image by 4 % more and more slowly."""
    share = np.clip((positions - 50.0) / 200.0, 0.0, 1.0)
    return 1.0 + 0.04 * (1.4 * share - 0.4 * share**2)


def picture(size: float, blur: float, seed: int, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(5)
    scene = np.zeros((180, 240), np.float32)
    for sigma in (1.5, 4.0, 10.0):
        noise = rng.standard_normal(scene.shape).astype(np.float32)
        scene += cv2.GaussianBlur(noise, (0, 0), sigma) * sigma
    scene = cv2.normalize(scene, None, 20, 235, cv2.NORM_MINMAX)
    matrix = cv2.getRotationMatrix2D(((SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2), 0.0, size)
    matrix[0, 2] += shift
    moved = cv2.warpAffine(
        scene, matrix, SIZE, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT
    )
    blurred = cv2.GaussianBlur(moved, (0, 0), max(blur, 0.1))
    noisy = blurred + np.random.default_rng(seed).normal(0.0, 2.0, blurred.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def write_sweep(folder: Path, drift: float = 0.0) -> StackFolder:
    folder.mkdir()
    for i, position in enumerate(POSITIONS):
        blur = 2.5 * abs(position - 125.0) / 125.0
        size = float(true_size(np.array([position]))[0])
        write_image(folder / f"p{position:03.0f}.png", picture(size, blur, i, drift * i))
    return with_lens_positions(StackFolder.open(folder))


@pytest.fixture(scope="module")
def breathing(tmp_path_factory: pytest.TempPathFactory) -> Breathing:
    return measure_breathing(write_sweep(tmp_path_factory.mktemp("breathing") / "sweep"))


def test_growth_is_measured(breathing: Breathing) -> None:
    assert breathing.positions.tolist() == POSITIONS.tolist()
    np.testing.assert_allclose(breathing.magnifications, true_size(POSITIONS), atol=1.2e-3)
    assert breathing.rms_error < 5e-4
    assert breathing.used > 0.8 * breathing.tried
    assert breathing.shift < 0.002


def test_between_and_beyond_the_positions(breathing: Breathing) -> None:
    found = breathing.at(np.array([-50.0, 162.5, 300.0]))
    np.testing.assert_allclose(found[1], true_size(np.array([162.5]))[0], atol=1.5e-3)
    assert found[[0, 2]].tolist() == breathing.magnifications[[0, -1]].tolist()


def test_a_camera_that_moves_is_seen(tmp_path: Path) -> None:
    assert measure_breathing(write_sweep(tmp_path / "sweep", drift=1.5)).shift > 0.01


@pytest.mark.parametrize("falls", [False, True])
def test_lens_map_takes_it_up(breathing: Breathing, falls: bool) -> None:
    before = LensMap((20.0, 240.0), (0.2, 5.0))
    if falls:
        before = LensMap(before.positions[::-1], before.dioptres)
    after = with_magnification(before, breathing)
    at = np.linspace(20.0, 240.0, 60)
    np.testing.assert_allclose(after.to_dioptres(at), before.to_dioptres(at), atol=1e-6)
    truth = true_size(at) / true_size(np.array(before.positions[:1]))
    np.testing.assert_allclose(after.to_magnification(at), truth, atol=2e-3)
    assert after.magnification is not None
    assert after.magnification[0] == 1.0


def test_alignment_undoes_it(breathing: Breathing, tmp_path: Path) -> None:
    """By scale, from the map alone: nothing is estimated from the images."""
    path = tmp_path / "lens.yaml"
    write_lens_map(path, with_magnification(LensMap((0.0, 250.0), (0.2, 5.0)), breathing))
    run = Aligner(AlignmentConfig(method="scale", lens_map=str(path))).start()
    images = [picture(float(true_size(np.array([p]))[0]), 0.5, 0) for p in (100.0, 225.0)]
    items = [Slice(image, 1.0 + i, lens_position=p) for i, (image, p) in enumerate(
        zip(images, (100.0, 225.0), strict=True))]  # fmt: skip
    first, second = (run.add(item) for item in items)
    matrix = similarity_part(run.motion_of(items[1]).matrix, (180, 240))
    wanted = true_size(np.array([225.0])) / true_size(np.array([100.0]))
    assert matrix[0, 0] == pytest.approx(float(wanted[0]), abs=1e-3)
    inner = np.s_[20:-20, 20:-20]
    before = np.abs(images[1][inner].astype(float) - images[0][inner]).mean()
    after = np.abs(second.image[inner].astype(float) - first.image[inner]).mean()
    assert after < 0.5 * before


def test_a_map_without_magnification_cannot_align(tmp_path: Path) -> None:
    path = tmp_path / "lens.yaml"
    write_lens_map(path, LensMap((0.0, 250.0), (0.2, 5.0)))
    with pytest.raises(
        OptionError, match="has no magnification; run `focdepth calibrate breathing`"
    ):
        Aligner(AlignmentConfig(method="scale", lens_map=str(path)))
    with pytest.raises(CalibrationError, match="cannot be read"):
        Aligner(AlignmentConfig(method="scale", lens_map=str(tmp_path / "none.yaml")))


def test_images_with_nothing_in_common(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(6):
        noise = rng.integers(0, 256, (180, 240), dtype=np.uint8)
        write_image(tmp_path / f"p{10 * i + 30}.png", noise)
    with pytest.raises(CalibrationError, match="only 1 of 6 images match each other"):
        measure_breathing(with_lens_positions(StackFolder.open(tmp_path)))


@pytest.mark.skipif(not REAL.is_dir(), reason="no real stacks here")
def test_real_webcam() -> None:
    """52 frames; its focus does not move below 35, and then the image grows evenly by 4 %."""
    positions = json.loads((REAL / "meta.json").read_text())["focus_control"]
    folder = replace(StackFolder.open(REAL), lens_positions=tuple(map(float, positions)))
    found = measure_breathing(folder)
    growth = 100.0 * (found.magnifications - 1.0)
    assert np.abs(growth[:6]).max() < 0.05
    assert growth[-1] == pytest.approx(4.35, abs=0.1)
    assert np.all(np.diff(growth[7:]) > 0.02)
    assert found.rms_error < 2e-4
