"""`focdepth fuse --dataset`: many stacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import run
from fused_stacks import (
    RELATIVE_FILES,
    SIZE,
    error,
    files_in,
    sharp,
    write_dataset,
    write_slices,
)
from synthetic_sweeps import two_surfaces

from focdepth_ros.files.image_io import read_image, write_image

pytestmark = pytest.mark.usefixtures("no_networks")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data")


class TestDataset:
    def test_fuses_every_stack(
        self, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_slices(dataset / "more" / "plain")
        output = tmp_path / "out"
        assert run("fuse", "--dataset", dataset, "-o", output) == 0
        captured = capsys.readouterr()
        names = ("more/plain", "test/image_stacks/scene2", "test/image_stacks/scene10")
        assert [line.split(":")[0] for line in captured.out.splitlines()[:-1]] == list(names)
        assert captured.out.splitlines()[-1] == f"fused 3 of 3 stacks; written to {output}"
        assert captured.err == ""
        for name in names:
            assert files_in(output / name) == RELATIVE_FILES
            fused = read_image(output / name / "all_in_focus.png")
            assert error(fused, sharp()) < 0.1 * error(two_surfaces(size=SIZE)[3].image, sharp())
        assert len(list(output.rglob("result.json"))) == 3

    def test_leaves_out_names_and_reports_what_fails(
        self, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stacks, output = dataset / "test" / "image_stacks", tmp_path / "out"
        (stacks / "scene2" / "3.png").write_bytes(b"junk")
        (stacks / "single").mkdir()
        write_image(stacks / "single" / "photo.png", sharp())
        assert run("fuse", "-d", dataset, "-o", output) == 1
        captured = capsys.readouterr()
        assert f"fused 1 of 3 stacks; written to {output}" in captured.out
        assert "2 of 3 could not be fused:\n" in captured.err
        assert f"  test/image_stacks/scene2: {stacks}/scene2/3.png: cannot be dec" in captured.err
        assert "  test/image_stacks/single: " in captured.err
        assert "only one image in it, photo.png" in captured.err
        assert [path.name for path in (output / "test" / "image_stacks").iterdir()] == ["scene10"]

    def test_goes_on_where_results_of_one_cannot_be_written(
        self, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        results = tmp_path / "out" / "test" / "image_stacks"
        results.mkdir(parents=True)
        (results / "scene2").write_text("in the way")
        assert run("fuse", "-d", dataset, "-o", tmp_path / "out") == 1
        captured = capsys.readouterr()
        assert "fused 1 of 2 stacks; written" in captured.out
        assert "1 of 2 could not be fused:\n  test/image_stacks/scene2: " in captured.err
        assert f"{results / 'scene2'}: File exists; check the path" in captured.err

    def test_goes_on_where_it_was(
        self, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        output = tmp_path / "out"
        command = ("fuse", "-d", dataset, "-o", output, "--resume")
        (first, second) = (output / "test/image_stacks" / name for name in ("scene2", "scene10"))
        assert run(*command) == 0
        (second / "index.png").unlink()
        before = (first / "result.json").stat().st_mtime_ns
        capsys.readouterr()
        assert run(*command) == 0
        done = f"fused 1 of 2 stacks, 1 were there already; written to {output}\n"
        assert capsys.readouterr().out.endswith(done)
        assert (first / "result.json").stat().st_mtime_ns == before
        assert files_in(second) == RELATIVE_FILES
        assert run(*command, "--min-confidence", 0) == 0
        assert "fused 2 of 2 stacks; written" in capsys.readouterr().out

    def test_may_be_one_stack(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        root = write_slices(tmp_path / "only")
        monkeypatch.chdir(tmp_path)
        assert run("fuse", "--dataset", root) == 0
        assert files_in(tmp_path / "only_fused" / "only") == RELATIVE_FILES
