"""Settings files of depth from defocus."""

from __future__ import annotations

from pathlib import Path

import pytest

from focdepth_ros.datasets.make3d import Make3d
from focdepth_ros.datasets.nyu_depth_v2 import NyuDepthV2
from focdepth_ros.defocus.config import DefocusConfig
from focdepth_ros.defocus.settings import (
    LENS_POSITIONS,
    DefocusSettings,
    load_settings,
    settings_names,
)
from focdepth_ros.errors import CalibrationError, OptionError
from focdepth_ros.stack import Lens


def written(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


def test_those_that_are_shipped() -> None:
    assert settings_names() == ("make3d", "mobile_depth", "nyu_depth_v2")
    description = next(
        item.metadata["option"]["description"]
        for item in DefocusConfig.__dataclass_fields__.values()
        if item.name == "settings"
    )
    assert all(name in description for name in settings_names())


@pytest.mark.parametrize(
    ("name", "dataset", "tolerance"), [("nyu_depth_v2", NyuDepthV2, 0.0), ("make3d", Make3d, 1e-6)]
)
def test_lens_and_distances_are_those_of_the_dataset(
    name: str, dataset: type[NyuDepthV2] | type[Make3d], tolerance: float
) -> None:
    settings, sweep = load_settings(name), dataset.sweep
    assert settings.lens is not None
    assert settings.focus_distances == sweep.focus_distances
    assert settings.lens.focal_length == sweep.focal_length
    assert settings.lens.f_number == sweep.f_number
    assert settings.lens.pixel_pitch == pytest.approx(sweep.pixel_pitch, rel=tolerance)


def test_options_of_the_paper() -> None:
    nyu = load_settings("nyu_depth_v2").applied_to(DefocusConfig())
    assert (nyu.epochs, nyu.depths, nyu.near, nyu.far) == (40, 100, 0.1, 10.0)
    assert (nyu.min_coc, nyu.window, nyu.iterations, nyu.growth) == (2.0, 1, 200, 1.05)
    outdoors = load_settings("make3d").applied_to(DefocusConfig())
    assert (outdoors.epochs, outdoors.window) == (5, 5)
    assert (outdoors.iterations, outdoors.growth) == (10, 2.0)
    assert load_settings("make3d").size == (460, 345)
    phones = load_settings("mobile_depth").applied_to(DefocusConfig())
    assert (phones.epochs, phones.depths, phones.window) == (5, 200, 51)
    assert (phones.iterations, phones.growth) == (10, 2.0)
    assert load_settings("mobile_depth").focus_distances == LENS_POSITIONS


def test_options_that_are_given_win() -> None:
    settings = DefocusSettings(options={"epochs": 40, "depths": 30})
    config = settings.applied_to(DefocusConfig(settings="mine", epochs=3, window=5))
    assert (config.epochs, config.depths, config.window, config.settings) == (3, 30, 5, "mine")


def test_no_settings() -> None:
    assert load_settings("") == DefocusSettings()
    assert DefocusSettings().applied_to(DefocusConfig()) == DefocusConfig()


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    text = (
        "options: {near: 4e-1, far: inf, psf: disc, linear_light: false}\n"
        "lens: {focal_length: 4.2e-3, f_number: 2, pixel_pitch: 2e-6}\n"
        "focus_distances: [0.5, 1, inf]\n"
        "size: [640, 480]\n"
    )
    settings = load_settings(written(tmp_path, text))
    assert settings == DefocusSettings(
        options={"near": 0.4, "far": float("inf"), "psf": "disc", "linear_light": False},
        lens=Lens(4.2e-3, 2.0, 2e-6),
        focus_distances=(0.5, 1.0, float("inf")),
        size=(480, 640),
    )
    assert load_settings(written(tmp_path, "")) == DefocusSettings()


def test_a_smaller_image_has_larger_pixels() -> None:
    settings = DefocusSettings(lens=Lens(4e-3, 2.0, 2e-6), size=(480, 640))
    assert settings.lens_at(480, 640) == settings.lens
    smaller = settings.lens_at(120, 160)
    assert smaller is not None
    assert smaller.pixel_pitch == pytest.approx(8e-6)
    with pytest.raises(CalibrationError, match="images are 160x160 px, .* shape of 640x480"):
        settings.lens_at(160, 160)
    anywhere = DefocusSettings(lens=Lens(4e-3, 2.0, 2e-6))
    assert anywhere.lens_at(7, 9) == anywhere.lens


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs: 3\n", "unknown key 'epochs'; known are options, lens, focus_distances, size"),
        ("- 1\n", r"content is \[1\]; write the keys options"),
        ("options: 3\n", "options is 3; write the keys epochs, "),
        ("options: {epoch: 3}\n", "unknown key 'epoch'; known are epochs, "),
        ("options: {settings: other}\n", "unknown key 'settings'"),
        ("options: {epochs: 3.5}\n", "option 'epochs' is 3.5; it must be a whole number"),
        ("options: {near: close}\n", "near is 'close'; write a number"),
        ("options: {window: 50}\n", "'window' is 50; .* odd"),
        ("options: {near: 5, far: 2}\n", "near < far"),
        ("lens: {focal_length: 0.05}\n", "no f_number, pixel_pitch under lens; needed are focal"),
        ("lens: {focal_length: 0.05, f_number: .inf, pixel_pitch: 1e-6}\n", "f_number=inf"),
        ("focus_distances: near\n", "focus_distances is 'near'; write .* or lens_positions"),
        ("focus_distances: [1]\n", r"focus_distances is \[1\]; write at least 2"),
        ("focus_distances: [2, 1]\n", "near to far"),
        ("focus_distances: [0, 1]\n", "above 0"),
        ("focus_distances: [.nan, 1]\n", "focus_distances is nan; write a number"),
        ("size: [640]\n", r"size is \[640\]; write width and height"),
        ("lens: [\n", "no valid YAML"),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(OptionError, match=f"mine.yaml.*{words}"):
        load_settings(path)


def test_settings_that_are_not_there() -> None:
    words = "no defocus settings 'nyu'; give one of make3d, mobile_depth, nyu_depth_v2, or the"
    with pytest.raises(OptionError, match=words):
        load_settings("nyu")
    with pytest.raises(OptionError, match="'/nowhere/mine.yaml' cannot be read"):
        load_settings("/nowhere/mine.yaml")
