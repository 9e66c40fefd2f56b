"""Middlebury: scenes of every year in miniature, and the collection where it is."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.datasets.middlebury import Middlebury
from focdepth_ros.errors import DatasetError
from focdepth_ros.files.image_io import write_image

REAL = Path(__file__).parents[4] / "shared/data/rgbd/middlebury2001_2006"

SIZE = (6, 8)
PICTURE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
# Not known at the top left, then 16 to 64: an eighth, a quarter or none of it is in pixels.
STORED = np.full(SIZE, 40, np.uint8)
STORED[0, :3] = 0, 16, 64

CALIBRATION = """cam0=[1000.5 0 3.25; 0 1000.5 2.75; 0 0 1]
cam1=[1000.5 0 4.25; 0 1000.5 2.75; 0 0 1]
doffs=50.5
baseline=193.001
width=8
height=6
ndisp=64
"""


def write_scene(
    folder: Path, picture: str, disparities: str, texts: dict[str, str] | None = None
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / picture, PICTURE[..., 0] if picture.endswith("pgm") else PICTURE)
    if disparities.endswith("pfm"):
        write_pfm(folder / disparities, np.where(STORED == 0, np.inf, STORED))
    else:
        write_image(folder / disparities, STORED)
    for name, text in (texts or {}).items():
        (folder / name).write_text(text)
    return folder


def write_pfm(path: Path, values: np.ndarray, scale: str = "-1", kind: str = "Pf") -> None:
    """Rows from the bottom to the top, little endian where the scale is negative."""
    order = "<f4" if scale.startswith("-") else ">f4"
    header = f"{kind}\n{values.shape[1]} {values.shape[0]}\n{scale}\n"
    path.write_bytes(header.encode() + values[::-1].astype(order).tobytes())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_scene(tmp_path / "sawtooth", "im2.ppm", "disp2.pgm")
    write_scene(tmp_path / "tsukuba", "scene1.row3.col3.ppm", "truedisp.row3.col3.pgm")
    write_scene(tmp_path / "map", "im0.pgm", "disp0.pgm")
    write_scene(tmp_path / "cones", "im2.png", "disp2.png")
    write_scene(tmp_path / "teddyH", "im2.ppm", "disp2.pgm")
    write_scene(tmp_path / "Art", "view1.png", "disp1.png", {"dmin.txt": "200\n"})
    write_scene(tmp_path / "ThirdSize/Aloe", "view1.png", "disp1.png", {"dmin.txt": "270\n"})
    write_scene(tmp_path / "Piano-perfect", "im0.png", "disp0.pfm", {"calib.txt": CALIBRATION})
    # Of three scenes of 2005 the disparities were never given away.
    write_image(write_scene(tmp_path / "Dwarves", "view1.png", "x.png") / "view5.png", PICTURE)
    return tmp_path


def test_scenes_of_the_years(root: Path) -> None:
    years = {
        "2001": ("map", "sawtooth", "tsukuba"),
        "2003": ("cones", "teddyH"),
        "2005": ("Art",),
        "2006": ("ThirdSize/Aloe",),
        "2014": ("Piano-perfect",),
    }
    everything = Middlebury(root)
    assert everything.scenes == tuple(sorted(sum(years.values(), ())))
    for year, scenes in years.items():
        assert Middlebury(root, year).scenes == scenes
        assert {everything.year(scene) for scene in scenes} == {year}
    with pytest.raises(DatasetError, match="no split '2021'; choose one of all, 2001, 2003, 2005"):
        Middlebury(root, "2021")


@pytest.mark.parametrize("scene", ["sawtooth", "tsukuba", "cones", "teddyH"])
def test_without_calibration_inverse_depth_goes_over_1_to_3_metres(root: Path, scene: str) -> None:
    photograph = Middlebury(root).photograph(scene)
    np.testing.assert_array_equal(photograph.image, PICTURE)
    assert photograph.depth.dtype == np.float32
    assert np.isnan(photograph.depth[0, 0])
    # 40 is halfway between 16 and 64: (1/3 + 1) / 2 = 2/3 dioptres.
    np.testing.assert_allclose(photograph.depth[0, 1:4], (3.0, 1.0, 1.5), rtol=1e-6)


def test_grey_pictures_are_read_as_rgb(root: Path) -> None:
    image = Middlebury(root).photograph("map").image
    np.testing.assert_array_equal(image, np.repeat(PICTURE[..., :1], 3, axis=2))


def test_disparities_of_2005_and_2006_are_those_of_the_full_size(root: Path) -> None:
    photograph = Middlebury(root).photograph("ThirdSize/Aloe")
    assert np.isnan(photograph.depth[0, 0])
    # 3740 px * 0.160 m = 598.4 px m, over 270 px + 16, 64 and 40
    expected = (598.4 / 286.0, 598.4 / 334.0, 598.4 / 310.0)
    np.testing.assert_allclose(photograph.depth[0, 1:4], expected, rtol=1e-6)
    assert photograph.focal_px == pytest.approx(3740.0 * 6 / 1110)  # the full size has 1110 rows


@pytest.mark.parametrize("scale", ["-1", "-0.003922", "1", "0.003922"])
def test_2014_is_calibrated(root: Path, scale: str) -> None:
    disparity = np.where(STORED == 0, np.inf, STORED + 0.25)
    write_pfm(root / "Piano-perfect/disp0.pfm", disparity, scale)
    photograph = Middlebury(root).photograph("Piano-perfect")
    assert np.isnan(photograph.depth[0, 0])
    # 1000.5 px * 0.193001 m = 193.0975005 px m, over 50.5 px + 16.25, 64.25 and 40.25
    expected = (2.892846, 1.682767, 2.127796)
    np.testing.assert_allclose(photograph.depth[0, 1:4], expected, rtol=1e-6)
    assert np.isfinite(photograph.depth[1:]).all()
    camera = photograph.intrinsics()
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (1000.5, 1000.5, 3.25, 2.75)


@pytest.mark.parametrize(("dmin", "offset"), [(200, 200.0), (None, 240.0)])
def test_collection_says_where_dmin_is_not_known(
    tmp_path: Path, dmin: int | None, offset: float
) -> None:
    meta = json.dumps({"year": "2006", "dmin_fullsize": dmin})
    write_scene(tmp_path / "Baby1", "left.png", "disp_left.png", {"meta.json": meta})
    dataset = Middlebury(tmp_path, "2006")
    photograph = dataset.photograph("Baby1")
    assert np.isnan(photograph.depth[0, 0])
    assert photograph.depth[0, 1] == pytest.approx(598.4 / (offset + 16.0), rel=1e-6)
    assert photograph.focal_px == 1250.0


def test_sweep_goes_over_all_depths(root: Path) -> None:
    sample = Middlebury(root).load("cones")
    assert len(sample.stack) == 12
    distances = [item.focus_distance for item in sample.stack.slices]
    assert distances[0] == pytest.approx(1.0, rel=1e-6)
    assert distances[-1] == pytest.approx(3.0, rel=1e-6)
    assert sample.depth is not None
    assert np.isnan(sample.depth[0, 0])
    # Blur of the near end at the far end: f² / N * (1/1 - 1/3) / pitch.
    lens = sample.stack.lens
    assert lens is not None
    diameter = lens.focal_length**2 / lens.f_number * (2 / 3) / lens.pixel_pitch
    assert diameter == pytest.approx(24.0, rel=1e-6)


@pytest.mark.parametrize(
    ("scene", "file"),
    [
        ("cones", "im2.png"),
        ("tsukuba", "truedisp.row3.col3.pgm"),
        ("Art", "view1.png"),
        ("Art", "disp1.png"),
        ("Art", "dmin.txt"),
        ("Piano-perfect", "im0.png"),
        ("Piano-perfect", "disp0.pfm"),
        ("Piano-perfect", "calib.txt"),
    ],
)
def test_scene_with_a_missing_file_is_listed_and_names_it(
    root: Path, scene: str, file: str
) -> None:
    (root / scene / file).unlink()
    dataset = Middlebury(root)
    assert scene in dataset.scenes
    with pytest.raises(DatasetError, match=rf"{root / scene / file}: .*[Nn]o such"):
        dataset.load(scene)


@pytest.mark.parametrize(
    ("scene", "file", "text", "words"),
    [
        ("Art", "dmin.txt", "two hundred", "holds 'two hundred'; expected 1 numbers"),
        ("Piano-perfect", "calib.txt", "cam0=[1 0 0; 0 1 0; 0 0 1]\n", "has no 'baseline'; it has"),
        ("Piano-perfect", "calib.txt", "cam0=[1 0 0]\n", r"holds '\[1 0 0\]'; expected 9 numbers"),
        ("Piano-perfect", "disp0.pfm", "Pf\n8 6\n-1\nshort", "is no PFM file, or a damaged one"),
        ("Piano-perfect", "disp0.pfm", "", "is no PFM file, or a damaged one"),
    ],
)
def test_bad_text_is_named(root: Path, scene: str, file: str, text: str, words: str) -> None:
    (root / scene / file).write_text(text)
    with pytest.raises(DatasetError, match=f"{file}: {words}"):
        Middlebury(root).load(scene)


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ("{", "is no JSON: .*; download it again"),
        ("{}", "has no 'dmin_fullsize'; it has nothing"),
        ('{"dmin_fullsize": "near"}', "dmin_fullsize is 'near'; expected a number"),
        (f'{{"dmin_fullsize": 1{"0" * 400}}}', "dmin_fullsize is '1000.*; expected a number"),
        (f'{{"dmin_fullsize": {"1" * 5000}}}', "is no JSON|dmin_fullsize is"),
    ],
    ids=["cut off", "empty", "text", "huge", "longer than it may be"],
)
def test_bad_meta_is_named(tmp_path: Path, meta: str, words: str) -> None:
    write_scene(tmp_path / "Baby1", "left.png", "disp_left.png", {"meta.json": meta})
    with pytest.raises(DatasetError, match=f"meta.json: {words}"):
        Middlebury(tmp_path).load("Baby1")


def test_bad_disparities_are_named(root: Path) -> None:
    dataset = Middlebury(root)
    write_image(root / "Art/disp1.png", PICTURE)
    with pytest.raises(DatasetError, match=r"disp1.png: has shape \(6, 8, 3\); expected one"):
        dataset.load("Art")
    write_image(root / "Art/disp1.png", STORED[:4])
    with pytest.raises(DatasetError, match=r"'Art': depth is of shape \(4, 8\), the picture"):
        dataset.load("Art")
    write_image(root / "cones/disp2.png", np.full(SIZE, 7, np.uint8))
    with pytest.raises(DatasetError, match="disp2.png: holds 1 different disparities"):
        dataset.load("cones")
    write_pfm(root / "Piano-perfect/disp0.pfm", np.ones((6, 8)), kind="PF")
    with pytest.raises(DatasetError, match="disp0.pfm: is of the kind b'PF'; expected b'Pf'"):
        dataset.load("Piano-perfect")


@pytest.mark.skipif(not REAL.is_dir(), reason="the collection is not here")
def test_collection() -> None:
    dataset = Middlebury(REAL)
    assert Counter(map(dataset.year, dataset.scenes)) == {
        "2001": 7, "2003": 2, "2005": 6, "2006": 21,
    }  # fmt: skip
    for scene in dataset.scenes:
        said = json.loads((REAL / scene / "meta.json").read_text())["year"]
        assert dataset.year(scene) == said[:4]
    art = dataset.photograph("Art").depth
    assert 1.0 < np.nanmin(art) < np.nanmax(art) < 3.0
    assert np.isfinite(art).mean() == pytest.approx(0.9988, abs=1e-4)
