"""`focdepth fuse`: one stack, a pair of images, and what cannot be fused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from cli_runs import run, run_process, shown_on_a_terminal
from fused_stacks import (
    METRIC_FILES,
    RELATIVE_FILES,
    SIZE,
    error,
    files_in,
    result_of,
    sharp,
    write_dataset,
    write_pair,
    write_slices,
)
from synthetic_sweeps import DIOPTRES, two_surfaces

from focdepth_ros.files.image_io import read_image, write_image
from focdepth_ros.stack import FocalStack, Slice
from focdepth_ros.stack_folder.saving import save_stack

pytestmark = pytest.mark.usefixtures("no_networks")


class TestStack:
    @pytest.mark.parametrize("mono", [False, True], ids=["colour", "mono"])
    def test_is_nearer_to_the_truth_than_any_slice(self, tmp_path: Path, mono: bool) -> None:
        stack, output = write_slices(tmp_path / "stack", mono=mono), tmp_path / "new/out"
        assert run("fuse", stack, "-o", output) == 0
        assert files_in(output) == RELATIVE_FILES
        fused, truth = read_image(output / "all_in_focus.png"), sharp(mono=mono)
        slices = [read_image(path) for path in stack.iterdir()]
        if mono:
            fused = fused if fused.ndim == 2 else fused[..., 0]
        assert error(fused, truth) < 0.1 * min(error(image, truth) for image in slices)

    def test_says_in_which_image_a_pixel_is_sharp(self, tmp_path: Path) -> None:
        stack, output = write_slices(tmp_path / "stack"), tmp_path / "out"
        assert run("fuse", stack, "-o", output) == 0
        index = read_index(output)
        assert index.dtype == np.uint16
        truth = np.where(np.arange(SIZE[1]) < SIZE[1] // 2, 1, 5)
        assert np.mean(index == truth) > 0.9
        exact = np.load(output / "slice_index.npy")
        assert exact.dtype == np.float32
        np.testing.assert_array_equal(index, np.rint(exact))
        assert result_of(output)["images"] == [f"{i}.png" for i in range(len(DIOPTRES))]

    def test_takes_10_after_2(self, tmp_path: Path) -> None:
        names = ["1.png", "2.png", "3.png", "10.png", "11.png", "20.png", "100.png"]
        stack = write_slices(tmp_path / "stack", names=names)
        assert run("fuse", stack, "-o", tmp_path / "out") == 0
        assert result_of(tmp_path / "out")["images"] == names
        near = np.load(tmp_path / "out" / "slice_index.npy")[:, :40]
        assert np.median(near) == pytest.approx(1.0, abs=0.2)

    def test_turns_a_stack_round(self, tmp_path: Path) -> None:
        stack = write_slices(tmp_path / "stack")
        command = ("fuse", stack, "--align", "none")
        assert run(*command, "-o", tmp_path / "a") == 0
        assert run(*command, "-o", tmp_path / "b", "--reverse") == 0
        plain, turned = (np.load(tmp_path / name / "slice_index.npy") for name in "ab")
        assert np.median(np.abs(plain + turned - (len(DIOPTRES) - 1))) < 0.05
        images = result_of(tmp_path / "b")["images"]
        assert isinstance(images, list)
        assert images[0] == f"{len(DIOPTRES) - 1}.png"

    def test_with_distances_gives_metres_whatever_the_order_of_the_files(
        self, tmp_path: Path
    ) -> None:
        stack, output = write_slices(tmp_path / "stack"), tmp_path / "out"
        order = [3, 0, 6, 1, 5, 2, 4]
        for place, number in enumerate(order):
            (stack / f"{number}.png").rename(stack / f"at{place}.png")
        distances = ",".join(str(1.0 / DIOPTRES[number]) for number in order)
        assert run("fuse", stack, "-o", output, "--focus-distances", distances) == 0
        assert files_in(output) == METRIC_FILES
        depth = np.load(output / "depth.npy")
        known = ~np.isnan(depth)
        assert known.mean() > 0.5
        truth = 1.0 / np.interp(
            np.broadcast_to(np.where(np.arange(SIZE[1]) < SIZE[1] // 2, 1, 5), SIZE),
            np.arange(7),
            DIOPTRES,
        )
        away = np.abs(depth - truth)[known] / truth[known]
        assert np.median(away) < 0.02
        millimetres = read_raw(output / "depth.png")
        np.testing.assert_array_equal(millimetres[known], np.rint(depth[known] * 1000.0))
        images = result_of(output)["images"]
        assert isinstance(images, list)
        assert images[0] == "at1.png"  # the nearest

    def test_takes_what_stack_yaml_says(self, tmp_path: Path) -> None:
        stack = FocalStack(two_surfaces(size=SIZE), reference=3)
        save_stack(tmp_path / "stack", stack)
        assert run("fuse", tmp_path / "stack", "-o", tmp_path / "out") == 0
        result = result_of(tmp_path / "out")
        assert result["metric"] is True
        distances = result["focus_distances"]
        assert isinstance(distances, list)
        assert distances == sorted(distances)

    def test_leaves_no_files_of_an_earlier_run_that_are_wrong_now(self, tmp_path: Path) -> None:
        save_stack(tmp_path / "stack", FocalStack(two_surfaces(size=SIZE)))
        output = tmp_path / "out"
        assert run("fuse", tmp_path / "stack", "-o", output) == 0
        (output / "notes.txt").write_text("mine")
        (tmp_path / "stack" / "stack.yaml").unlink()
        assert run("fuse", tmp_path / "stack", "-o", output) == 0
        assert files_in(output) == RELATIVE_FILES | {"notes.txt"}

    def test_is_named_after_the_stack(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stack = write_slices(tmp_path / "stack")
        monkeypatch.chdir(tmp_path)
        assert run("fuse", stack) == 0
        assert files_in(tmp_path / "stack_fused") == RELATIVE_FILES

    @pytest.mark.parametrize("backend", ["argmax", "graph_cut", "auto"])
    def test_uses_the_backend_asked_for(
        self, tmp_path: Path, backend: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stack, output = write_slices(tmp_path / "stack"), tmp_path / "out"
        assert run("fuse", stack, "-o", output, "-b", backend) == 0
        name = result_of(output)["backend"]
        assert backend in (name, "auto")
        assert f"{name}: 7 images fused, 96x72 px" in capsys.readouterr().out

    def test_passes_settings_on(self, tmp_path: Path) -> None:
        stack, output = write_slices(tmp_path / "stack"), tmp_path / "out"
        options = ("-b", "graph_cut", "--option", "aif_blend=false", "--align", "ecc")
        more = ("--align-option", "ecc_model=similarity", "--min-confidence", 0)
        assert run("fuse", stack, "-o", output, *options, *more) == 0
        settings = result_of(output)["settings"]
        assert settings == {
            "backend": "graph_cut",
            "options": {"aif_blend": False},
            "alignment": {"method": "ecc", "ecc_model": "similarity"},
            "min_confidence": 0.0,
            "reverse": False,
        }
        assert result_of(output)["coverage"] == 1.0

    def test_reports_pictures_that_are_no_slices(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stack = write_slices(tmp_path / "stack")
        write_image(stack / "index_map.png", np.zeros(SIZE, np.uint8))
        assert run("fuse", stack, "-o", tmp_path / "out") == 0
        assert "taken for no slices: index_map.png" in capsys.readouterr().err

    def test_counts_images_that_were_left_out(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stack = FocalStack(
            [*two_surfaces(size=SIZE), Slice(np.zeros((*SIZE, 3), np.uint8), 1.0 / 2.0)]
        )
        save_stack(tmp_path / "stack", stack)
        assert run("fuse", tmp_path / "stack", "-o", tmp_path / "out") == 0
        captured = capsys.readouterr()
        assert "7 of 8 images fused" in captured.out
        assert "slice 3 at 0.5 m left out" in captured.err
        far = np.load(tmp_path / "out" / "slice_index.npy")[:, -40:]
        assert np.median(far) == pytest.approx(6.0, abs=0.2)  # 5, and one before it

    def test_shows_progress_on_a_terminal_only(self, tmp_path: Path) -> None:
        stack = write_slices(tmp_path / "stack")
        arguments = ["fuse", stack, "--output", tmp_path / "out"]
        assert run_process(*arguments, "-b", "argmax").stderr == ""
        shown = shown_on_a_terminal(*arguments)
        assert b"Fusing images" in shown
        assert b"100%" in shown


class TestPair:
    def test_takes_each_half_from_the_image_that_is_sharp_there(self, tmp_path: Path) -> None:
        pair, output = write_pair(tmp_path), tmp_path / "out"
        assert run("fuse", *pair, "-o", output) == 0
        truth = sharp()
        fused = read_image(output / "all_in_focus.png")
        assert error(fused, truth) < 0.1 * min(error(read_image(path), truth) for path in pair)
        # In the order given, not in that of the names.
        assert result_of(output)["images"] == ["b.png", "a.png"]
        index = read_index(output)
        assert np.mean(index[:, :40] == 0) > 0.95
        assert np.mean(index[:, -40:] == 1) > 0.95

    def test_images_may_lie_anywhere_and_are_named_after_the_first(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = write_pair(tmp_path)
        (tmp_path / "elsewhere").mkdir()
        moved = Path(shutil.move(second, tmp_path / "elsewhere" / "b.png"))
        monkeypatch.chdir(tmp_path)
        assert run("fuse", first, moved, "--focus-distances", "1,0.5") == 0
        assert files_in(tmp_path / "b_fused") == METRIC_FILES
        assert result_of(tmp_path / "b_fused")["focus_distances"] == [0.5, 1.0]


class TestBadInput:
    """Each gives one line that names what is wrong and what to do, and exit status 2."""

    def check(
        self, arguments: Sequence[object], message: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        capfd.readouterr()
        assert run("fuse", *arguments) == 2
        captured = capfd.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1
        assert message in captured.err

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((), "give a folder of images, at least two image files, or --dataset"),
            (("a", "--dataset", "b"), "with a folder of stacks, not both"),
            (("/no/where",), "/no/where: no such folder; give the folder of a focal stack"),
            (("/no/a.png", "/no/b.png"), "/no/a.png: no such file; give the image files"),
            ((__file__,), "test_fuse.py: 1 image given; a focal stack needs at least 2"),
            ((__file__, __file__), "test_fuse.py: given twice; name each image once"),
            ((__file__, "/"), "/: a folder; give one folder alone, or image files"),
            (("--dataset", "/no/where"), "/no/where: no such folder; give the folder that holds"),
            (("--dataset", __file__), "test_fuse.py: not a folder; give the folder that"),
            (("--dataset", "."), "no images in it, nor up to three levels below"),
            (("a", "--backend", "magic"), "there is no backend 'magic'; choose one"),
            (("a", "--option", "x=1"), "has no option 'x'; it has"),
            (("a", "--align", "magic"), "'magic'"),
            (("a", "--min-confidence", "2"), "min_confidence 2.0 is not in [0, 1]"),
            (("a", "--resume"), "--resume is for --dataset; leave it out"),
            (("--dataset", ".", "--focus-distances", "1,2"), "--focus-distances are of one stack"),
        ],
    )
    def test_arguments(
        self,
        arguments: Sequence[object],
        message: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path / "empty")
        self.check((*arguments, "-o", tmp_path / "out"), message, capfd)
        assert files_in(tmp_path) == {"empty"}
        assert files_in(tmp_path / "empty") == set()

    def test_images_that_do_not_fit_together(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        pair, output = write_pair(tmp_path), tmp_path / "out"
        write_image(pair[1], np.zeros((72, 97, 3), np.uint8))
        message = "a.png: 97x72 px colour, but b.png is 96x72 px colour; all slices of a stack"
        self.check((*pair, "-o", output), message, capfd)
        write_image(pair[1], np.zeros(SIZE, np.uint8))
        self.check((*pair, "-o", output), "a.png: 96x72 px grey, but b.png is", capfd)
        pair[1].write_text("no picture")
        self.check((*pair, "-o", output), "a.png: cannot be decoded as an image", capfd)
        assert not output.exists()

    def test_images_that_cannot_be_aligned(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        pair, output = write_pair(tmp_path), tmp_path / "out"
        write_image(pair[1], np.zeros((*SIZE, 3), np.uint8))
        self.check((*pair, "-o", output), "slice 2 left out: ", capfd)
        self.check((*pair, "-o", output), "do without alignment: --align none", capfd)
        assert not output.exists()

    def test_distances_that_do_not_fit(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        pair = (*write_pair(tmp_path), "-o", tmp_path / "out", "--focus-distances")
        self.check((*pair, "1,2,3"), "3 focus distances for 2 images (b.png … a.png)", capfd)
        self.check((*pair, "1,1"), "b.png and a.png share the focus distance 1.0 m", capfd)
        self.check((*pair, "1,2", "--reverse"), "give the order; leave it out", capfd)

    def test_output_that_cannot_be_written(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        output = tmp_path / "file" / "out"
        dataset = write_dataset(tmp_path / "data")
        stack = dataset / "test" / "image_stacks" / "scene2"
        for what in ((stack,), ("--dataset", dataset)):
            message = f"{output}: Not a directory; check the path"
            self.check((*what, "-o", output), message, capfd)

    @pytest.mark.parametrize("command", ["fuse", "estimate"])
    @pytest.mark.parametrize("truth", ["depth.npy", "all_in_focus.png"])
    def test_output_where_the_truth_is(
        self, command: str, truth: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "stack"
        write_slices(folder / "images")
        images = [f"images/{path.name}" for path in sorted((folder / "images").iterdir())]
        np.save(folder / "depth.npy", np.ones(SIZE, np.float32))
        write_image(folder / "all_in_focus.png", sharp())
        description = {"images": images, truth.split(".")[0]: truth}
        (folder / "stack.yaml").write_text(yaml.safe_dump(description))
        before = files_in(folder)
        content = (folder / truth).read_bytes()
        assert run(command, folder, "-o", folder) == 2
        assert "is where the focal stack lies" in capfd.readouterr().err
        assert files_in(folder) == before
        assert (folder / truth).read_bytes() == content

    def test_names_of_images_that_are_no_text(self, tmp_path: Path) -> None:
        folder = tmp_path / "stack"
        write_slices(folder)
        for path in list(folder.iterdir()):
            path.rename(folder / os.fsdecode(b"b\xfccher_" + path.name.encode()))
        assert run("fuse", folder, "-o", tmp_path / "out") == 0
        result = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
        assert sorted(result["images"]) == sorted(path.name for path in folder.iterdir())

    def test_output_where_the_images_are(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        pair, dataset = write_pair(tmp_path), write_dataset(tmp_path / "data")
        before = files_in(tmp_path)
        self.check((*pair, "-o", tmp_path), "is where the focal stack lies", capfd)
        assert files_in(tmp_path) == before
        message = f"lies in {dataset}, where results would be taken for stacks"
        self.check(("--dataset", dataset, "-o", dataset / "out"), message, capfd)
        assert not (dataset / "out").exists()


def read_index(output: Path) -> np.ndarray:
    return read_raw(output / "index.png")


def read_raw(path: Path) -> np.ndarray:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
