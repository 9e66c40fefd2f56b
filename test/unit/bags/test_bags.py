"""Bags recorded and read: sweeps, truth, evaluation, and what of broken ones is said."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import sqlite3
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import run

pytest.importorskip("rosbags")

from bag_copies import SLICES, recorded, rewritten, without

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.bags import message_types as types
from focdepth_ros.bags.reading import BagReader
from focdepth_ros.bags.sweeps import BagContents, find_sweeps
from focdepth_ros.bags.topics import BagSettings
from focdepth_ros.bags.writing import (
    COMPRESSED_IMAGES,
    GROUND_TRUTH,
    IMAGES,
    STATES,
    record_camera,
)
from focdepth_ros.datasets.bag_sweeps import LEFT_OUT, BagSweeps
from focdepth_ros.errors import BagError
from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.simulation import SimulatedCamera, SimulatedStack
from focdepth_ros.stack import FocalStack, Slice
from focdepth_ros.stack_folder.reading import StackFolder


def test_focus_state_is_that_of_the_package() -> None:
    text = (Path(__file__).parents[3] / "msg" / "FocusState.msg").read_text(encoding="utf-8")
    lines = [re.sub(r"#.*", "", line).strip() for line in text.splitlines()]
    assert [line for line in lines if line] == types.FOCUS_STATE_DEFINITION.splitlines()


@pytest.mark.parametrize(
    ("storage", "compression"),
    [
        *itertools.product(["sqlite3", "mcap"], ["none", "message", "file"]),
        ("mcap", "chunk"),
    ],
)
def test_what_was_recorded_is_read(
    tmp_path: Path, simulated: SimulatedStack, storage: str, compression: str
) -> None:
    bag = recorded(tmp_path / "bag", simulated, storage=storage, compression=compression)
    contents = find_sweeps(bag)
    assert contents.left_out == ()
    assert [len(sweep.slices) for sweep in contents.sweeps] == [SLICES, SLICES]
    stack, depth = contents.load(contents.sweeps[1])
    assert depth is not None
    np.testing.assert_array_equal(depth, simulated.depth)
    assert stack.reference == simulated.stack.reference == 0
    assert stack.intrinsics is not None
    assert stack.intrinsics.fx == pytest.approx(simulated.stack.intrinsics.fx)  # type: ignore[union-attr]
    for found, given in zip(stack.slices, simulated.stack.slices, strict=True):
        np.testing.assert_array_equal(found.image, given.image)
        assert found.focus_distance == given.focus_distance
        assert found.stamp > 0


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_chunks_of_mcap_may_be_compressed(whole: Path, tmp_path: Path, codec: str) -> None:
    bag = rewritten(whole, tmp_path / "bag", storage="MCAP", chunks=codec)
    same_contents(find_sweeps(bag), find_sweeps(whole))


def test_a_bag_of_compressed_files_is_unpacked_once(
    tmp_path: Path, simulated: SimulatedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    bag = recorded(tmp_path / "bag", simulated, compression="file")
    contents = find_sweeps(bag)
    copies = sorted(temporary.glob("focdepth-bag-*"))
    assert len(copies) == 1
    for sweep in contents.sweeps:
        contents.load(sweep)
    assert sorted(temporary.glob("focdepth-bag-*")) == copies
    other = find_sweeps(recorded(tmp_path / "other", simulated, compression="file"))
    other.load(other.sweeps[0])
    assert not copies[0].exists()
    assert len(list(temporary.glob("focdepth-bag-*"))) == 1


def test_a_changed_bag_is_opened_anew(tmp_path: Path, simulated: SimulatedStack) -> None:
    bag = recorded(tmp_path / "bag", simulated)
    contents = find_sweeps(bag)
    contents.load(contents.sweeps[1])
    shutil.rmtree(bag)
    with pytest.raises(BagError, match="no such bag"):
        contents.load(contents.sweeps[1])
    recorded(bag, simulated, sweeps=1)
    with pytest.raises(BagError, match="was changed while it was being read"):
        contents.load(contents.sweeps[1])


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("is_grey", [False, True])
def test_compressed_images(
    tmp_path: Path, simulated: SimulatedStack, kind: str, is_grey: bool
) -> None:
    images = [item.image[..., 0] if is_grey else item.image for item in simulated.stack.slices]
    slices = [
        Slice(np.ascontiguousarray(image), item.focus_distance)
        for image, item in zip(images, simulated.stack.slices, strict=True)
    ]
    camera = SimulatedCamera(FocalStack(slices))
    record_camera(tmp_path / "bag", camera, sweeps=2, images=kind)  # type: ignore[arg-type]
    contents = find_sweeps(tmp_path / "bag")
    assert contents.topics.images == COMPRESSED_IMAGES
    assert contents.left_out == ()
    stack, _ = contents.load(contents.sweeps[1])
    for found, image in zip(stack.slices, images, strict=True):
        assert found.image.shape == image.shape
        error = np.abs(found.image.astype(int) - image)
        assert error.max() == 0 if kind == "png" else 0 < error.mean() < 4.0


def test_a_cut_off_compressed_image_is_named(tmp_path: Path, simulated: SimulatedStack) -> None:
    bag = recorded(tmp_path / "bag", simulated, images="jpeg")

    def change(topic: str, number: int, message: Any) -> Any:
        if (topic, number) == (COMPRESSED_IMAGES, 1):
            return replace(message, data=message.data[:300])
        return message

    contents = find_sweeps(rewritten(bag, tmp_path / "cut", change))
    assert contents.dropped["bad compressed image"] == 1
    assert any("JPEG image of 300 bytes is cut off or broken" in t for t in contents.left_out)
    assert [len(sweep.slices) for sweep in contents.sweeps] == [SLICES - 1, SLICES]


def same_contents(found: BagContents, expected: BagContents) -> None:
    """All that was read of both bags is the same."""
    assert found.topics == expected.topics
    assert found.dropped == expected.dropped
    assert found.left_out == expected.left_out
    assert len(found.sweeps) == len(expected.sweeps)
    for one, other in zip(found.sweeps, expected.sweeps, strict=True):
        assert one.slices == other.slices
        assert one.intrinsics() == other.intrinsics()
        (stack, depth), (other_stack, other_depth) = found.load(one), expected.load(other)
        np.testing.assert_array_equal(depth, other_depth)
        for a, b in zip(stack.slices, other_stack.slices, strict=True):
            np.testing.assert_array_equal(a.image, b.image)


def test_what_a_player_needs(tmp_path: Path, simulated: SimulatedStack) -> None:
    bag = recorded(tmp_path / "bag", simulated)
    with BagReader(bag) as reader:
        first, last = reader.span
        assert (first, last - first) == (10**9, round((2 * SLICES - 1) * 1e9 / 30))
        (offer,) = reader.offered_qos(GROUND_TRUTH)
        assert (offer.reliability, offer.durability, offer.depth) == (
            "reliable",
            "transient_local",
            1,
        )
        assert reader.offered_qos(IMAGES) == ()
        messages = list(reader.serialised([IMAGES, STATES]))
        assert [topic.name for topic, _, _ in messages[:2]] == [STATES, IMAGES]
        topic, _, data = messages[0]
        assert reader.damage(topic, data) == ""
        assert reader.damage(topic, data[:20]) != ""
        assert reader.damage(replace(topic, kind="some_msgs/msg/Other"), b"") == ""


def test_a_single_file_is_a_bag_too(tmp_path: Path, simulated: SimulatedStack) -> None:
    bag = recorded(tmp_path / "bag", simulated, storage="mcap")
    (bag / "metadata.yaml").unlink()
    assert len(find_sweeps(next(bag.glob("*.mcap"))).sweeps) == 2
    with pytest.raises(BagError, match=r"bag: has no metadata.yaml, so it is no bag"):
        find_sweeps(bag)


def test_evaluates_as_the_stack_itself(
    whole: Path, simulated: SimulatedStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("jinja2")
    out = tmp_path / "out"
    arguments = ("--backend", "argmax", "--output", out, "--no-pictures")
    assert run("bag", "eval", whole, *arguments) == 0
    pipeline = DepthPipeline(create_backend("argmax"), min_confidence=0.0)
    assert simulated.depth is not None
    expected = depth_metrics(pipeline.estimate(simulated.stack).depth, simulated.depth)
    lines = (out / "scores.jsonl").read_text().splitlines()
    assert len(lines) == 2
    for line in lines:
        score = json.loads(line)
        figures = {name: score["figures"][name] for name in expected}
        assert figures == pytest.approx(expected, abs=1e-6)
    assert run("bag", "eval", whole, *arguments) == 2
    assert run("bag", "eval", whole, *arguments, "--resume") == 0
    assert "report.html" in capsys.readouterr().out
    assert len((out / "scores.jsonl").read_text().splitlines()) == 2


def test_converts_to_stack_folders(whole: Path, simulated: SimulatedStack, tmp_path: Path) -> None:
    arguments = ("--clouds", "--backend", "argmax")
    assert run("bag", "convert", whole, tmp_path / "out", *arguments) == 0
    folder = StackFolder.open(tmp_path / "out" / "sweep_0002")
    stack = folder.load()
    np.testing.assert_array_equal(stack.slices[1].image, simulated.stack.slices[1].image)
    np.testing.assert_array_equal(folder.ground_truth(), simulated.depth)
    assert (folder.path / "cloud.ply").read_bytes().startswith(b"ply")
    again = tmp_path / "again"
    assert run("bag", "record", again, "--stack", folder.path, "--storage", "mcap") == 0
    assert len(find_sweeps(again).sweeps) == 1


def test_info_says_what_is_there(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bag", "info", whole) == 0
    out = capsys.readouterr().out
    assert "sweeps: 2" in out
    assert "1: 4 slices of 96x72 px, ended by complete" in out


def test_depth_in_millimetres(whole: Path, tmp_path: Path) -> None:
    def change(topic: str, number: int, message: Any) -> Any:
        if topic != GROUND_TRUTH:
            return message
        values = np.full((72, 96), 1500, "<u2")
        values[0, 0] = 0
        data = values.reshape(-1).view(np.uint8)
        return replace(message, encoding="16UC1", step=192, data=data)

    contents = find_sweeps(rewritten(whole, tmp_path / "bag", change))
    _, depth = contents.load(contents.sweeps[0])
    assert depth is not None
    assert np.isnan(depth[0, 0])
    assert depth[5, 5] == np.float32(1.5)


def test_no_focus_states(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = rewritten(whole, tmp_path / "bag", without(STATES))
    assert run("bag", "info", bag) == 2
    assert "has no focus states (focdepth_ros/msg/FocusState)" in capsys.readouterr().err


def test_no_truth_is_named(whole: Path, tmp_path: Path) -> None:
    dataset = BagSweeps(rewritten(whole, tmp_path / "bag", without(GROUND_TRUTH)))
    with pytest.raises(BagError, match="has no ground truth"):
        dataset.load("sweep_0001")
    # One of two: that of the other is too far away, unless the tolerance is large.
    one = rewritten(
        whole, tmp_path / "one", lambda t, n, m: None if (t, n) == (GROUND_TRUTH, 1) else m
    )
    dataset = BagSweeps(one, settings=BagSettings(depth_tolerance=0.05))
    assert dataset.load("sweep_0001").depth is not None
    with pytest.raises(BagError, match=r"no ground truth on /ground_truth/depth within 0.05 s"):
        dataset.load("sweep_0002")


def test_a_topic_of_another_type(whole: Path) -> None:
    with pytest.raises(BagError, match=r"/camera_info is of the type sensor_msgs/msg/CameraInfo"):
        find_sweeps(whole, BagSettings(focus_topic="/camera_info"))
    with pytest.raises(BagError, match="has no messages on /other; it has /camera_info"):
        find_sweeps(whole, BagSettings(image_topic="/other"))


def test_mixed_resolutions(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("jinja2")

    def change(topic: str, number: int, message: Any) -> Any:
        if topic == IMAGES and number in (5, 6, 7):
            data = message.data[: 36 * message.step]
            return replace(message, height=36, data=data)
        return message

    bag = rewritten(whole, tmp_path / "bag", change)
    contents = find_sweeps(bag)
    assert [sweep.size for sweep in contents.sweeps] == [(72, 96), (36, 96)]
    (left_out,) = contents.left_out
    assert "too few slices (1): sweep that ended by format_change has 1 focus" in left_out
    arguments = ("--backend", "argmax", "--output", tmp_path / "out", "--no-pictures")
    assert run("bag", "eval", bag, *arguments) == 1
    err = capsys.readouterr().err
    assert "2 of 3 could not be measured" in err
    assert "depth is of shape (72, 96), the slices are of (36, 96)" in err


def test_bad_images_are_counted(whole: Path, tmp_path: Path) -> None:
    def change(topic: str, number: int, message: Any) -> Any:
        return replace(message, encoding="odd") if (topic, number) == (IMAGES, 1) else message

    contents = find_sweeps(rewritten(whole, tmp_path / "bag", change))
    assert contents.dropped["unknown encoding"] == 1
    assert any("/image_raw, at 1.0" in text for text in contents.left_out)


def test_damaged_messages_are_left_out(tmp_path: Path, simulated: SimulatedStack) -> None:
    bag = recorded(tmp_path / "bag", simulated)
    with sqlite3.connect(next(bag.glob("*.db3"))) as database:
        last = "SELECT max(m.id) FROM messages m JOIN topics t ON t.id = m.topic_id"
        database.execute(
            f"UPDATE messages SET data = x'0001' WHERE id = ({last} WHERE t.name = '{STATES}')"
        )
    contents = find_sweeps(bag)
    assert [len(sweep.slices) for sweep in contents.sweeps] == [SLICES, SLICES - 1]
    (text,) = contents.left_out
    assert text.startswith("damaged message (1): /focus_state, at 1.233 s:")


def test_what_comes_before_the_damage_is_kept(tmp_path: Path, simulated: SimulatedStack) -> None:
    bag = recorded(tmp_path / "bag", simulated, compression="message")
    with sqlite3.connect(next(bag.glob("*.db3"))) as database:
        database.execute(
            "UPDATE messages SET data = x'0001' WHERE id = (SELECT max(id) FROM messages) - 6"
        )
    contents = find_sweeps(bag)
    assert len(contents.sweeps[0].slices) == SLICES
    assert any("is damaged after the message of 1." in text for text in contents.left_out)


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_cut_off(
    tmp_path: Path, simulated: SimulatedStack, storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("jinja2")
    bag = recorded(tmp_path / "bags" / "cut", simulated, storage=storage)
    (file,) = [path for path in bag.iterdir() if path.suffix in (".db3", ".mcap")]
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert run("bag", "info", bag) in (1, 2)
    assert str(bag) in capsys.readouterr().err
    # Among others it is left out, and they are measured.
    recorded(tmp_path / "bags" / "good", simulated, storage=storage)
    dataset = BagSweeps(tmp_path / "bags")
    assert f"cut/{LEFT_OUT}" in dataset.scenes
    assert {"good/sweep_0001", "good/sweep_0002"} < set(dataset.scenes)
    arguments = ("--backend", "argmax", "--output", tmp_path / "out", "--no-pictures")
    paths = ("--dataset", "bag", "--path", tmp_path / "bags")
    assert run("evaluate", *paths, *arguments) == 1
    assert f"cut/{LEFT_OUT}, argmax:" in capsys.readouterr().err


def test_a_link_to_nothing_among_bags_is_passed_over(
    tmp_path: Path, simulated: SimulatedStack
) -> None:
    recorded(tmp_path / "good", simulated)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert set(BagSweeps(tmp_path).scenes) == {"good/sweep_0001", "good/sweep_0002"}


def test_what_is_no_bag(tmp_path: Path, whole: Path) -> None:
    with pytest.raises(BagError, match="no such bag"):
        find_sweeps(tmp_path / "none")
    text = tmp_path / "a.mcap"
    text.write_text("hello")
    with pytest.raises(BagError, match=r"a\.mcap: cannot be read as a bag"):
        find_sweeps(text)
    other = Path(shutil.copytree(whole, tmp_path / "other"))
    (other / "metadata.yaml").write_text("hello: [")
    with pytest.raises(BagError, match="other: cannot be read as a bag"):
        BagSweeps(other)
