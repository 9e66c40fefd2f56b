"""Bags that are damaged, lack something, or lie: what is wrong and where is said, the rest read."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_copies import SLICES, recorded, rewritten, storage_file, without
from cli_runs import run
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from focdepth_ros.bags import message_types as types
from focdepth_ros.bags.sweeps import find_sweeps
from focdepth_ros.bags.writing import GROUND_TRUTH, IMAGES, INFOS, STATES
from focdepth_ros.datasets.bag_sweeps import LEFT_OUT, BagSweeps
from focdepth_ros.errors import BagError, MessageError
from focdepth_ros.simulation import SimulatedStack


def evaluate(bag: Path, out: Path) -> int:
    pytest.importorskip("jinja2")
    return run("bag", "eval", bag, "--backend", "argmax", "--output", out, "--no-pictures")


def cut(file: Path, share: float) -> None:
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])


def chunked(whole: Path, path: Path) -> Path:
    """MCAP in chunks of a few messages, as of a longer recording."""
    return rewritten(whole, path, storage="MCAP", chunks="zstd")


class TestCutOff:
    @pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
    @pytest.mark.parametrize("as_file", [False, True])
    def test_what_comes_before_is_evaluated(
        self,
        whole: Path,
        simulated: SimulatedStack,
        tmp_path: Path,
        storage: str,
        as_file: bool,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        path = tmp_path / "bag"
        bag = chunked(whole, path) if storage == "mcap" else recorded(path, simulated)
        file = storage_file(bag)
        cut(file, 0.75)
        given = file if as_file else bag
        contents = find_sweeps(given)
        assert len(contents.sweeps[0].slices) == SLICES
        stack, depth = contents.load(contents.sweeps[0])
        np.testing.assert_array_equal(stack.slices[0].image, simulated.stack.slices[0].image)
        np.testing.assert_array_equal(depth, simulated.depth)
        capsys.readouterr()
        assert evaluate(given, tmp_path / "out") == 1
        err = capsys.readouterr().err
        assert f"{LEFT_OUT}, argmax: {given}: damaged bag (1): {given}: " in err
        assert f"{file.name}: " in err
        assert len((tmp_path / "out" / "scenes.csv").read_text().splitlines()) >= 3
        assert run("bag", "info", given) == 1
        assert run("bag", "convert", given, tmp_path / "stacks") == 1
        assert (tmp_path / "stacks" / "sweep_0001" / "stack.yaml").exists()

    def test_zeros_at_the_end_are_no_messages(self, whole: Path, tmp_path: Path) -> None:
        """As some file systems leave them when the power goes."""
        file = storage_file(chunked(whole, tmp_path / "bag"))
        size = file.stat().st_size
        cut(file, 0.75)
        file.write_bytes(file.read_bytes() + bytes(size // 4))
        assert len(find_sweeps(file).sweeps[0].slices) == SLICES

    def test_by_message_compressed(self, simulated: SimulatedStack, tmp_path: Path) -> None:
        bag = recorded(tmp_path / "bag", simulated, compression="message")
        cut(storage_file(bag), 0.75)
        contents = find_sweeps(bag)
        assert len(contents.sweeps[0].slices) == SLICES
        assert contents.load(contents.sweeps[0])[1] is not None

    def test_a_cut_off_compressed_file_cannot_be_read(
        self, simulated: SimulatedStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bag = recorded(tmp_path / "bag", simulated, compression="file")
        (file,) = bag.glob("*.zstd")
        cut(file, 0.5)
        assert evaluate(bag, tmp_path / "out") == 2
        assert f"{bag}: cannot be read as a bag, or is cut off" in capsys.readouterr().err

    def test_a_file_of_several_is_missing(
        self, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bag = chunked(whole, tmp_path / "bag")
        name = storage_file(bag).name
        text = (bag / "metadata.yaml").read_text()
        line = next(line for line in text.splitlines() if line.strip() == f"- {name}")
        (bag / "metadata.yaml").write_text(text.replace(line, f"{line}\n{line[:-5]}_1.mcap"))
        contents = find_sweeps(bag)
        assert len(contents.sweeps) == 2
        assert f"{name[:-5]}_1.mcap: nothing can be read" in contents.left_out[0]

    @pytest.mark.parametrize("suffix", [".db3", ".mcap"])
    @pytest.mark.parametrize(
        "content", [b"", b"\x00" * 5000, b"\x89MCAP0\r\n", b"SQLite format 3\0"]
    )
    def test_nothing_of_it_is_there(
        self, tmp_path: Path, suffix: str, content: bytes, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / f"bag{suffix}"
        file.write_bytes(content)
        assert evaluate(file, tmp_path / "out") == 2
        err = capsys.readouterr().err
        assert f"{file}: cannot be read as a bag, or is cut off: " in err
        assert run("bag", "info", file) == 2

    @pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
    def test_files_of_no_bytes_in_a_folder(
        self, simulated: SimulatedStack, tmp_path: Path, storage: str
    ) -> None:
        bag = recorded(tmp_path / "bags" / "empty", simulated, storage=storage)
        storage_file(bag).write_bytes(b"")
        with pytest.raises(BagError, match="empty: cannot be read as a bag"):
            find_sweeps(bag)
        recorded(tmp_path / "bags" / "good", simulated)
        assert evaluate(tmp_path / "bags", tmp_path / "out") == 1

    @pytest.mark.parametrize("seed", range(6))
    @pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
    def test_damage_anywhere_is_never_more_than_an_error(
        self, whole: Path, simulated: SimulatedStack, tmp_path: Path, storage: str, seed: int
    ) -> None:
        path = tmp_path / "bag"
        bag = chunked(whole, path) if storage == "mcap" else recorded(path, simulated)
        file = storage_file(bag)
        rng = np.random.default_rng(seed)
        data = bytearray(file.read_bytes())
        for place in rng.integers(0, len(data), 30):
            data[place] = rng.integers(0, 256)
        file.write_bytes(bytes(data))
        for given in (bag, file):
            with suppress(BagError, MessageError):
                contents = find_sweeps(given)
                for sweep in contents.sweeps:
                    contents.load(sweep)


class TestNothingInIt:
    @pytest.mark.parametrize("storage", ["SQLITE3", "MCAP"])
    def test_no_topics(
        self, tmp_path: Path, storage: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin[storage]):
            pass
        assert evaluate(tmp_path / "bag", tmp_path / "out") == 2
        assert "has no focus states (focdepth_ros/msg/FocusState), only no messages" in (
            capsys.readouterr().err
        )

    @pytest.mark.parametrize("storage", ["SQLITE3", "MCAP"])
    def test_topics_without_messages(self, whole: Path, tmp_path: Path, storage: str) -> None:
        bag = rewritten(whole, tmp_path / "bag", lambda *message: None, storage=storage)
        assert evaluate(bag, tmp_path / "out") == 2

    def test_images_but_no_sweep(
        self, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bag = rewritten(
            whole,
            tmp_path / "bag",
            lambda topic, number, message: message if number < 2 else None,
        )
        assert run("bag", "info", bag) == 1
        assert "missing: no focus sweep was found" in capsys.readouterr().err
        assert evaluate(bag, tmp_path / "out") == 2
        assert "no focus sweep in it; left out: 1 by 'too few slices'" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("topic", "message"),
        [(STATES, "has no focus states"), (IMAGES, "has no images"), (GROUND_TRUTH, "")],
    )
    def test_a_topic_is_missing(
        self,
        whole: Path,
        tmp_path: Path,
        topic: str,
        message: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        bag = rewritten(whole, tmp_path / "bag", without(topic))
        expected = 2 if message else 1
        assert evaluate(bag, tmp_path / "out") == expected
        err = capsys.readouterr().err
        assert message in err
        if not message:
            assert "2 of 2 could not be measured" in err
            assert "sweep_0001, argmax: " in err
            assert "has no ground truth" in err

    def test_without_calibration_depth_is_measured_all_the_same(
        self, whole: Path, tmp_path: Path
    ) -> None:
        bag = rewritten(whole, tmp_path / "bag", without(INFOS))
        assert evaluate(bag, tmp_path / "out") == 0


class TestTypes:
    def test_topics_of_types_that_nobody_knows_are_passed_over(
        self, whole: Path, tmp_path: Path
    ) -> None:
        bag = recorded_with_strange_topic(whole, tmp_path / "bag")
        contents = find_sweeps(bag)
        assert len(contents.sweeps) == 2
        assert contents.left_out == ()
        assert run("bag", "info", bag) == 0
        with pytest.raises(BagError, match="/strange is of the type odd_msgs/msg/Thing"):
            BagSweeps(bag, settings=replace(contents.settings, depth_topic="/strange"))

    def test_focus_states_with_other_fields(
        self, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Of a release to come, say, that calls one of them otherwise."""
        text = types.FOCUS_STATE_DEFINITION.replace("focus_distance", "distance")
        bag = tmp_path / "bag"
        store = get_typestore(Stores.ROS2_JAZZY)
        from rosbags.typesys import get_types_from_msg

        store.register(get_types_from_msg(text, types.FOCUS_STATE))
        with Writer(bag, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
            states = writer.add_connection(STATES, types.FOCUS_STATE, typestore=store)
            images = writer.add_connection(IMAGES, types.IMAGE, typestore=store)
            header = store.types["std_msgs/msg/Header"](
                stamp=store.types["builtin_interfaces/msg/Time"](sec=1, nanosec=0), frame_id="c"
            )
            state = store.types[types.FOCUS_STATE](
                header=header, distance=1.0, lens_position=1.0, lens_position_unit="",
                settled=True, sweep_id=0, sweep_step=0, sweep_size=0,
            )  # fmt: skip
            image = store.types[types.IMAGE](
                header=header, height=8, width=8, encoding="mono8", is_bigendian=0, step=8,
                data=np.zeros(64, np.uint8),
            )  # fmt: skip
            for connection, message, kind in (
                (states, state, types.FOCUS_STATE),
                (images, image, types.IMAGE),
            ):
                writer.write(connection, 10**9, store.serialize_cdr(message, kind))
        assert run("bag", "info", bag) == 1
        assert "focdepth_ros/msg/FocusState of /focus_state is another one than here" in (
            capsys.readouterr().err
        )


def recorded_with_strange_topic(whole: Path, path: Path) -> Path:
    """With messages of a type that has no definition, as Humble leaves it."""
    bag = rewritten(whole, path)
    with sqlite3.connect(storage_file(bag)) as database:
        database.execute(
            "INSERT INTO topics VALUES (9, '/strange', 'odd_msgs/msg/Thing', 'cdr', '', '')"
        )
        database.execute(
            "INSERT INTO messages(topic_id, timestamp, data) VALUES (9, 1000000001, x'00')"
        )
    text = (bag / "metadata.yaml").read_text()
    entry = (
        "  topics_with_message_count:\n"
        "  - message_count: 1\n"
        "    topic_metadata:\n"
        "      name: /strange\n"
        "      type: odd_msgs/msg/Thing\n"
        "      serialization_format: cdr\n"
        "      offered_qos_profiles: ''\n"
        "      type_description_hash: ''\n"
    )
    (bag / "metadata.yaml").write_text(text.replace("  topics_with_message_count:\n", entry))
    return bag


class TestOrder:
    def test_messages_are_read_by_time_of_receipt(self, whole: Path, tmp_path: Path) -> None:
        """However they lie in the file."""
        bag = rewritten(whole, tmp_path / "bag")
        with sqlite3.connect(storage_file(bag)) as database:
            database.execute("CREATE TABLE turned AS SELECT * FROM messages ORDER BY id DESC")
            database.execute("DELETE FROM messages")
            database.execute(
                "INSERT INTO messages(topic_id, timestamp, data)"
                " SELECT topic_id, timestamp, data FROM turned"
            )
        contents = find_sweeps(bag)
        assert [len(sweep.slices) for sweep in contents.sweeps] == [SLICES, SLICES]
        assert contents.left_out == ()

    def test_stamps_that_go_back_end_a_sweep(self, whole: Path, tmp_path: Path) -> None:
        """A clock that was set while the bag was recorded."""

        def change(topic: str, number: int, message: Any) -> Any:
            if topic in (STATES, IMAGES) and number >= SLICES:
                stamp = replace(message.header.stamp, sec=0)
                return replace(message, header=replace(message.header, stamp=stamp))
            return message

        contents = find_sweeps(rewritten(whole, tmp_path / "bag", change))
        assert [len(sweep.slices) for sweep in contents.sweeps] == [SLICES, SLICES]
        assert contents.sweeps[0].end_reason in ("complete", "time_jump")

    def test_an_image_that_comes_after_the_next_one_is_named(
        self, whole: Path, tmp_path: Path
    ) -> None:
        late: list[Any] = []

        def change(topic: str, number: int, message: Any) -> Any:
            if (topic, number) != (IMAGES, 1):
                return message
            late.append(message)
            return None

        rewritten(whole, tmp_path / "without", change)
        bag = rewritten(
            whole, tmp_path / "bag", change, more=[(IMAGES, types.IMAGE, 1_070_000_000, late[0])]
        )
        contents = find_sweeps(bag)
        assert [len(sweep.slices) for sweep in contents.sweeps] == [SLICES - 1, SLICES]
        (text,) = contents.left_out
        assert text.startswith("out of order (1): image of stamp 1.033333333 s came after")


def test_the_truth_of_another_size(whole: Path, tmp_path: Path) -> None:
    def change(topic: str, number: int, message: Any) -> Any:
        if topic != GROUND_TRUTH:
            return message
        return replace(message, height=36, data=message.data[: 36 * message.step])

    bag = rewritten(whole, tmp_path / "bag", change)
    assert evaluate(bag, tmp_path / "out") == 1


def test_what_the_recorder_had_no_time_to_write_is_named(
    tmp_path: Path, simulated: SimulatedStack
) -> None:
    """As of one that was killed while it wrote to SQLite's write-ahead log."""
    bag = recorded(tmp_path / "bag", simulated)
    file = next(bag.glob("*.db3"))
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT * FROM messages ORDER BY timestamp").fetchall()
        late = rows[len(rows) // 2 :]
        database.execute("DELETE FROM messages WHERE id >= ?", (late[0][0],))
        database.commit()
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_autocheckpoint = 0")
        marks = ", ".join("?" * len(late[0]))
        database.executemany(f"INSERT INTO messages VALUES ({marks})", late)
        database.commit()
        killed = Path(shutil.copytree(bag, tmp_path / "killed"))
    for path in (killed, killed / file.name):
        contents = find_sweeps(path)
        assert len(contents.sweeps) == 1
        log = f"{file.name}-wal may hold messages that its recorder had no time to write into"
        assert any(log in text for text in contents.left_out)
    with closing(sqlite3.connect(killed / file.name)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert len(find_sweeps(killed).sweeps) == 2
    assert not any("-wal" in text for text in find_sweeps(killed).left_out)
