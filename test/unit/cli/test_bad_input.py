"""Bad input to the command line: one line each, and exit status 2."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from cli_runs import change, run, run_process

from focdepth_ros.files.image_io import write_image


def corrupt_image(folder: Path) -> None:
    (folder / "001.png").write_bytes(b"junk")


def cut_image(folder: Path) -> None:
    data = (folder / "001.png").read_bytes()
    (folder / "001.png").write_bytes(data[: len(data) // 2])


def other_size(folder: Path) -> None:
    write_image(folder / "002.png", np.zeros((72, 97, 3), np.uint8))


def remove_images(folder: Path) -> None:
    for path in folder.glob("*.png"):
        path.unlink()
    (folder / "stack.yaml").unlink()


def other_truth(folder: Path) -> None:
    np.save(folder / "depth.npy", np.ones((5, 5), np.float32))


BAD_STACKS = {
    "no images": (remove_images, "stack: no images in it; give a folder of"),
    "unreadable image": (corrupt_image, "001.png: cannot be decoded as an image; save it again"),
    "cut-off image": (cut_image, "001.png: the image is damaged or cut off after"),
    "other size": (other_size, "002.png: 97x72 px colour, but 000.png is 96x72 px colour; all"),
    "missing truth": (
        lambda folder: (folder / "depth.npy").unlink(),
        "depth.npy: no such file, but stack.yaml names it",
    ),
    "other truth": (other_truth, "depth.npy: 5x5 px, but 000.png is 96x72 px; the ground truth"),
    "corrupt YAML": (
        lambda folder: (folder / "stack.yaml").write_text("focus_distances: [1, 2"),
        "stack.yaml: not valid YAML",
    ),
    "unknown key": (
        lambda folder: change(folder, distances=[1, 2]),
        "stack.yaml: unknown key 'distances'; known are focus_distances",
    ),
    "wrong number of distances": (
        lambda folder: change(folder, focus_distances=[1.0, 2.0]),
        "stack.yaml: 2 focus distances for 4 images (000.png … 003.png); give one per image",
    ),
    "bad distance": (
        lambda folder: change(folder, focus_distances=[1.0, 2.0, -3.0, 4.0]),
        "stack.yaml: focus distance -3.0 of 002.png is not in (0, inf]; give metres",
    ),
}


class TestBadInput:
    """Each gives one line that names what is wrong and what to do, and exit status 2."""

    def check(
        self, arguments: Sequence[object], message: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        capfd.readouterr()
        assert run(*arguments) == 2
        captured = capfd.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1
        assert captured.err.endswith("\n")
        assert message in captured.err

    @pytest.mark.parametrize("name", list(BAD_STACKS))
    def test_stack(
        self, name: str, stack_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        spoil, message = BAD_STACKS[name]
        spoil(stack_dir)
        output = tmp_path / "out"
        self.check(("estimate", stack_dir, "--output", output), message, capfd)
        assert not output.exists()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("estimate", "/no/where", "-o", "x"), "/no/where: no such folder; give the folder"),
            (
                ("estimate", __file__, "-o", "x"),
                "test_bad_input.py: not a folder; give the folder that",
            ),
            (("estimate",), "Missing argument 'STACK_DIR'; see `focdepth estimate --help`"),
            (("estimate", "/no/where"), "/no/where: no such folder"),
            (("guess",), "No such command 'guess'; see `focdepth --help`"),
            (("estimate", "a", "-o", "b", "--bogus"), "No such option"),
            (
                ("estimate", "a", "-o", "b", "-b", "magic"),
                "there is no backend 'magic'; choose one",
            ),
            (("estimate", "a", "-o", "b", "--option", "x=1"), "has no option 'x'; it has"),
            (("estimate", "a", "-o", "b", "--option", "x"), "'x' has no key or no value; write it"),
            (
                ("estimate", "a", "-o", "b", "-b", "graph_cut", "--option", "pair_scale=much"),
                "'much' in 'pair_scale=much' is not a number",
            ),
            (
                ("estimate", "a", "-o", "b", "-b", "graph_cut", "--option", "max_cycles=1.5"),
                "'1.5' in 'max_cycles=1.5' is not a whole number",
            ),
            (
                ("estimate", "a", "-o", "b", "-b", "graph_cut", "--option", "pair_scale=-1"),
                "'pair_scale' is -1.0; it must be in",
            ),
            (
                ("estimate", "a", "-o", "b", "--min-confidence", "2"),
                "min_confidence 2.0 is not in [0, 1]",
            ),
            (
                ("estimate", "a", "-o", "b", "--min-confidence", "much"),
                "Invalid value for '--min-confidence': ",
            ),
            (
                ("estimate", "a", "-o", "b", "--align", "magic"),
                "'magic'",
            ),
            (
                ("estimate", "a", "-o", "b", "--align", "external", "--flow-path", "/no/where"),
                "/no/where",
            ),
            (
                ("estimate", "a", "-o", "b", "--focus-distances", "1;2"),
                "'1;2' is not a list of metres",
            ),
            (("simulate", "a", "--size", "640"), "'640' is no image size with sides from 16"),
            (("simulate", "a", "--near", "3", "--far", "2"), "focus sweep from 3.0 m to 2.0 m"),
            (("simulate", "a", "--slices", "201"), "--slices is 201; give at most 200"),
            (("simulate", "a", "--slices", "1"), "a focus sweep of 1 slices; give at least 2"),
        ],
    )
    def test_arguments(
        self,
        arguments: Sequence[str],
        message: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        self.check(arguments, message, capfd)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("distances", ["1,2", "1,2,nan,4", "1,2,2,4", "0,1,2,3"])
    def test_distances(
        self, distances: str, simulated: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        arguments = ("estimate", simulated, "-o", tmp_path, "--focus-distances", distances)
        self.check(arguments, f"{simulated}: ", capfd)

    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("--fov", "180", "field of view of 180.0 degrees is not in (0, 180)"),
            ("--max-size", "0", "max_size 0 px is not positive; give pixels"),
        ],
    )
    def test_values_that_matter_for_the_images(
        self,
        option: str,
        value: str,
        message: str,
        simulated: Path,
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        output = tmp_path / "out"
        self.check(("estimate", simulated, "-o", output, option, value), message, capfd)
        assert not output.exists()

    @pytest.mark.parametrize("command", ["estimate", "simulate"])
    def test_output_that_cannot_be_written(
        self, command: str, simulated: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        blocked = tmp_path / "file"
        blocked.write_text("in the way")
        output = blocked / "out"
        arguments = (
            ("simulate", output, "--slices", 2, "--size", "96x72")
            if command == "simulate"
            else (command, simulated, "-o", output)
        )
        self.check(arguments, f"{output}: Not a directory; check the path", capfd)

    def test_leaves_no_traceback_in_a_process(self, tmp_path: Path) -> None:
        done = run_process("estimate", tmp_path, "--output", tmp_path / "out")
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith(f"error: {tmp_path}: no images in it")
        assert done.stderr.count("\n") == 1
