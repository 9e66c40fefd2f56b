"""Files with settings of depth from defocus."""

from __future__ import annotations

from pathlib import Path

import pytest

from focdepth_ros.defocus.config import DefocusConfig
from focdepth_ros.defocus.search_range import search_range
from focdepth_ros.defocus.settings import LENS_POSITIONS, load_settings, preset_names
from focdepth_ros.errors import OptionError
from focdepth_ros.stack import Lens


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_those_of_the_package_can_be_read() -> None:
    assert preset_names() == ("make3d", "mobile_depth", "nyu_depth_v2")
    for name in preset_names():
        settings = load_settings(name)
        assert isinstance(settings.config, DefocusConfig)
        if settings.focus_distances and settings.focus_distances != LENS_POSITIONS:
            config = settings.config
            search_range(settings.focus_distances, config.near, config.far)


def test_those_of_nyu_depth_v2_are_the_paper_s() -> None:
    settings = load_settings("nyu_depth_v2")
    assert settings.lens == Lens(focal_length=0.05, f_number=8.0, pixel_pitch=12e-6)
    assert settings.focus_distances == (1.0, 1.5, 2.5, 4.0, 6.0)
    config = settings.config
    assert (config.near, config.far, config.epochs, config.depths) == (0.1, 10.0, 40, 100)
    assert (config.iterations, config.growth, config.min_coc) == (200, 1.05, 2.0)


def test_what_is_set_goes_before_the_file() -> None:
    config = load_settings("nyu_depth_v2").applied_to(DefocusConfig(epochs=3))
    assert (config.epochs, config.far) == (3, 10.0)


def test_without_a_file_all_stays() -> None:
    settings = load_settings("")
    assert settings.applied_to(DefocusConfig(epochs=3)) == DefocusConfig(epochs=3)
    assert settings.lens is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- 1", "give a mapping of options, lens, focus_distances"),
        ("optics: {}", "give a mapping of options, lens, focus_distances"),
        ("options: {epoch: 3}", "there is no option 'epoch'"),
        ("options: {settings: make3d}", "there is no option 'settings'"),
        ("options: {epochs: 0}", r"'epochs' is 0; it must be in \[1, 1000\]"),
        ("options: 7", "settings.yaml"),
        ("lens: {focal_length: 0.05}", "give focal_length, f_number, pixel_pitch"),
        ("lens: {focal_length: a, f_number: 2, pixel_pitch: 1}", "could not convert"),
        ("lens: {focal_length: 0, f_number: 2, pixel_pitch: 1}", "focal_length=0.0; it must be"),
        ("focus_distances: [near]", "could not convert"),
        ("focus_distances: 3", "not iterable"),
        ("{", "is no valid YAML"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(OptionError, match=words) as raised:
        load_settings(path)
    assert "settings.yaml" in str(raised.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(OptionError, match="'nyu' cannot be read: .*one of make3d, mobile_depth"):
        load_settings("nyu")
