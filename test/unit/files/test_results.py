import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import focdepth_ros
from focdepth_ros.errors import CalibrationError, RelativeStackError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.files.image_io import read_depth, read_image
from focdepth_ros.files.results import depth_in_millimetres, point_cloud, write_results
from focdepth_ros.geometry import back_project
from focdepth_ros.stack import CameraIntrinsics, FocalStack, Lens, Slice

DEPTH = np.array([[0.5, 1.25, np.nan], [2.0, np.inf, 80.0]], np.float32)
CAMERA = CameraIntrinsics(3, 2, 10.0, 10.0, 1.0, 0.5)
LENS = Lens(0.016, 1.4, 2e-5)
ALL_IN_FOCUS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)

METRIC_FILES = {
    "depth.npy",
    "depth.png",
    "depth_preview.png",
    "all_in_focus.png",
    "confidence.npy",
    "slice_index.npy",
    "cloud.ply",
    "result.json",
}


def make_stack(
    *distances: float | None,
    intrinsics: CameraIntrinsics | None = None,
    lens: Lens | None = None,
) -> FocalStack:
    image = np.full((2, 3), 77, np.uint8)
    return FocalStack([Slice(image, d) for d in distances], intrinsics, lens)


@pytest.fixture
def estimate() -> DepthEstimate:
    return DepthEstimate(
        depth=DEPTH,
        confidence=np.full((2, 3), 0.25, np.float32),
        slice_index=np.linspace(0, 2, 6, dtype=np.float32).reshape(2, 3),
        backend="plain",
        metric=True,
        all_in_focus=ALL_IN_FOCUS,
        timings={"add": 0.5, "finish": np.float64(0.25)},
        warnings=("it rained",),
    )


METRIC = make_stack(0.5, 2.0, np.inf, intrinsics=CAMERA)
RELATIVE = make_stack(None, None, None, intrinsics=CAMERA)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def result_of(folder: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    text = (folder / "result.json").read_text(encoding="utf-8")
    content = json.loads(text, parse_constant=refuse)
    assert isinstance(content, dict)
    return content


class TestMetricStack:
    def test_gives_every_file(self, tmp_path: Path, estimate: DepthEstimate) -> None:
        written = write_results(tmp_path / "a" / "b", estimate, METRIC)
        assert names(tmp_path / "a" / "b") == METRIC_FILES == set(written.files)
        assert written.skipped == {}

    def test_arrays_are_exact(self, tmp_path: Path, estimate: DepthEstimate) -> None:
        write_results(tmp_path, estimate, METRIC)
        for name in ("depth", "confidence", "slice_index"):
            stored = np.load(tmp_path / f"{name}.npy")
            assert stored.dtype == np.float32
            np.testing.assert_array_equal(stored, getattr(estimate, name))
        np.testing.assert_array_equal(read_image(tmp_path / "all_in_focus.png"), ALL_IN_FOCUS)

    def test_depth_png_is_in_millimetres(self, tmp_path: Path, estimate: DepthEstimate) -> None:
        write_results(tmp_path, estimate, METRIC)
        expected = [[0.5, 1.25, np.nan], [2.0, np.nan, np.nan]]
        np.testing.assert_allclose(read_depth(tmp_path / "depth.png"), expected)

    def test_preview_has_a_bar_and_black_for_unknown(
        self, tmp_path: Path, estimate: DepthEstimate
    ) -> None:
        write_results(tmp_path, estimate, METRIC)
        preview = read_image(tmp_path / "depth_preview.png")
        assert preview.shape[0] == 2
        assert preview.shape[1] > 3
        assert tuple(preview[0, 2]) == (0, 0, 0)
        assert preview[0, 0].max() > 60

    def test_cloud_has_the_finite_points(self, tmp_path: Path, estimate: DepthEstimate) -> None:
        write_results(tmp_path, estimate, METRIC)
        assert b"element vertex 4\n" in (tmp_path / "cloud.ply").read_bytes()

    def test_result_tells_how_it_came_about(self, tmp_path: Path, estimate: DepthEstimate) -> None:
        metrics = {"abs_rel": 0.125, "rmse": float("nan")}
        details = {"settings": {"min_confidence": 0.5}}
        write_results(tmp_path, estimate, METRIC, metrics=metrics, details=details)
        result = result_of(tmp_path)
        assert result["backend"] == "plain"
        assert result["metric"] is True
        assert (result["width"], result["height"], result["slices"]) == (3, 2, 3)
        assert result["focus_distances"] == [0.5, 2.0, "inf"]
        assert result["coverage"] == pytest.approx(5 / 6)
        assert (result["nearest"], result["farthest"]) == (0.5, "inf")
        assert result["timings"] == {"add": 0.5, "finish": 0.25}
        assert result["metrics"] == {"abs_rel": 0.125, "rmse": None}
        assert result["warnings"] == ["it rained"]
        assert result["skipped"] == {}
        assert set(result["files"]) == METRIC_FILES
        assert result["settings"] == {"min_confidence": 0.5}
        assert result["versions"]["focdepth_ros"] == focdepth_ros.__version__
        assert result["versions"]["numpy"] == np.__version__

    def test_may_know_nothing(self, tmp_path: Path, estimate: DepthEstimate) -> None:
        empty = replace(estimate, depth=np.full((2, 3), np.nan, np.float32))
        write_results(tmp_path, empty, METRIC)
        result = result_of(tmp_path)
        assert result["coverage"] == 0.0
        assert result["nearest"] is None
        assert names(tmp_path) == METRIC_FILES


class TestWhatCannotBeGiven:
    def test_relative_stack(self, tmp_path: Path, estimate: DepthEstimate) -> None:
        written = write_results(tmp_path, replace(estimate, metric=False), RELATIVE)
        assert names(tmp_path) == METRIC_FILES - {"depth.png", "cloud.ply"} == set(written.files)
        result = result_of(tmp_path)
        assert result["skipped"] == written.skipped
        assert "relative" in written.skipped["depth.png"]
        assert "give focus distances in metres" in written.skipped["cloud.ply"]
        assert result["focus_distances"] is None

    def test_uncalibrated_stack(self, tmp_path: Path, estimate: DepthEstimate) -> None:
        written = write_results(tmp_path, estimate, make_stack(0.5, 2.0))
        assert names(tmp_path) == METRIC_FILES - {"cloud.ply"}
        assert "neither camera intrinsics nor lens are known" in written.skipped["cloud.ply"]

    def test_unusable_calibration(self, tmp_path: Path, estimate: DepthEstimate) -> None:
        camera = replace(CAMERA, distortion_model="magic", distortion=(0.1,) * 5)
        written = write_results(tmp_path, estimate, make_stack(0.5, 2.0, intrinsics=camera))
        assert "'magic' is not known" in written.skipped["cloud.ply"]

    def test_no_all_in_focus_image(self, tmp_path: Path, estimate: DepthEstimate) -> None:
        written = write_results(tmp_path, replace(estimate, all_in_focus=None), METRIC)
        assert written.skipped == {"all_in_focus.png": "not asked for"}
        assert names(tmp_path) == METRIC_FILES - {"all_in_focus.png"}

    def test_files_of_an_earlier_run_do_not_stay(
        self, tmp_path: Path, estimate: DepthEstimate
    ) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        write_results(tmp_path, estimate, METRIC)
        write_results(tmp_path, replace(estimate, metric=False), RELATIVE)
        assert names(tmp_path) == METRIC_FILES - {"depth.png", "cloud.ply"} | {"notes.txt"}

    def test_folder_that_is_a_file(self, tmp_path: Path, estimate: DepthEstimate) -> None:
        (tmp_path / "out").write_text("mine")
        with pytest.raises(FileExistsError):
            write_results(tmp_path / "out", estimate, METRIC)


class TestMillimetres:
    @pytest.mark.parametrize(
        ("metres", "millimetres"),
        [(1.0, 1000), (0.0004, 0), (65.535, 65535), (65.536, 0), (-1.0, 0), (1.2346, 1235)],
    )
    def test_are_rounded_and_bounded(self, metres: float, millimetres: int) -> None:
        image = depth_in_millimetres(np.array([[metres]], np.float32))
        assert image.dtype == np.uint16
        assert image[0, 0] == millimetres

    @pytest.mark.parametrize("unknown", [np.nan, np.inf, -np.inf])
    def test_are_zero_where_not_known(self, unknown: float) -> None:
        assert depth_in_millimetres(np.array([[unknown]], np.float32))[0, 0] == 0


class TestPointCloud:
    def test_takes_the_intrinsics(self, estimate: DepthEstimate) -> None:
        points, colours = point_cloud(estimate, METRIC)
        np.testing.assert_array_equal(points, back_project(DEPTH, CAMERA))
        assert colours is ALL_IN_FOCUS

    def test_takes_the_lens_where_there_are_none(self, estimate: DepthEstimate) -> None:
        points, _ = point_cloud(estimate, make_stack(0.5, 2.0, lens=LENS))
        # One pixel left and half a pixel above the middle, focal length 800 px.
        np.testing.assert_allclose(points[0, 0], [-0.5 / 800, -0.25 / 800, 0.5], rtol=1e-5)

    def test_is_coloured_by_the_reference_slice_otherwise(self, estimate: DepthEstimate) -> None:
        _, colours = point_cloud(replace(estimate, all_in_focus=None), METRIC)
        assert colours.shape == (2, 3, 3)
        assert (colours == 77).all()

    def test_is_refused_where_it_would_be_a_guess(self, estimate: DepthEstimate) -> None:
        with pytest.raises(RelativeStackError):
            point_cloud(replace(estimate, metric=False), RELATIVE)
        with pytest.raises(CalibrationError, match="or the horizontal field of view"):
            point_cloud(estimate, make_stack(0.5, 2.0))
