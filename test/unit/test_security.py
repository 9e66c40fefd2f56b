"""Nothing that is read can run code, write outside its folder or claim memory that it has not."""

from __future__ import annotations

import ast
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from focdepth_ros.bags.salvage import salvage_file
from focdepth_ros.errors import FocdepthError, MessageError, StackFileError, quoted
from focdepth_ros.files.image_io import read_depth
from focdepth_ros.messages.image_decoding import ImageLimits, open_image
from focdepth_ros.messages.reading import stamp_of

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for folder in ("focdepth_ros", "launch", "scripts", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)
FORBIDDEN_MODULES = {"cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load",
    "yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "pickle.load", "pickle.loads",
    "pickle.Unpickler", "np.fromregex", "tempfile.mktemp",
}  # fmt: skip
# Keyword and value without which a call is not safe, and those that it must not have.
NEEDED = {"torch.load": ("weights_only", True), "np.lib.format.read_array": ("allow_pickle", False)}
REFUSED = {"allow_pickle": True, "shell": True, "weights_only": False}


def calls(path: Path) -> Iterator[tuple[str, dict[str, object], int]]:
    """Name, constant keywords and line of every call."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            keywords = {
                item.arg: item.value.value
                for item in node.keywords
                if item.arg and isinstance(item.value, ast.Constant)
            }
            yield ast.unparse(node.func), keywords, node.lineno


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
            if node.module == "pickle":
                yield "from pickle"


def test_the_files_are_found() -> None:
    assert len(FILES) > 200


def test_yaml_is_read_by_the_safe_loader_alone() -> None:
    found = {
        (path.name, node.attr)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value) == "yaml"
        and node.attr.endswith("Loader")
    }
    assert ("yaml_files.py", "SafeLoader") in found
    assert {name for _, name in found} == {"SafeLoader"}


def test_nothing_unpickles_runs_text_or_loads_unsafe_yaml() -> None:
    for path in FILES:
        found = set(imports(path)) & (FORBIDDEN_MODULES | {"from pickle"})
        assert not found, f"{path}: imports {found}"
        for name, keywords, line in calls(path):
            place = f"{path.relative_to(ROOT)}:{line}: {name}"
            assert name not in FORBIDDEN_CALLS, place
            if name in NEEDED:
                keyword, value = NEEDED[name]
                assert keywords.get(keyword) is value, f"{place} needs {keyword}={value}"
            for keyword, value in REFUSED.items():
                assert keywords.get(keyword) is not value, f"{place} has {keyword}={value}"


def test_the_search_sees_what_it_looks_for(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("import dill\nx = np.load(f, allow_pickle=True)\ntorch.load(f)\n")
    assert "dill" in set(imports(path))
    assert list(calls(path)) == [("np.load", {"allow_pickle": True}, 2), ("torch.load", {}, 3)]


class Claims:
    """An image message of a few bytes that claims to be more."""

    encoding = "rgb8"
    is_bigendian = 0

    def __init__(self, height: int, width: int, step: int, data: bytes = b"123") -> None:
        self.height, self.width, self.step, self.data = height, width, step, data


@pytest.mark.parametrize("side", [2**15, 2**16, 2**31, 2**32 - 1])
def test_pixels_that_are_only_claimed_are_refused(side: int) -> None:
    for height, width in ((side, side), (8, side), (side, 8)):
        with pytest.raises(MessageError) as caught:
            open_image(Claims(height, width, min(3 * width, 2**32 - 1)), ImageLimits(100_000))
        assert caught.value.reason in ("bad image size", "wrong size of image data")


def test_rows_of_padding_are_refused() -> None:
    message = Claims(8, 8, 400_000, bytes(8 * 400_000))
    with pytest.raises(MessageError, match="more data than max_image_pixels 1000000 can have"):
        open_image(message, ImageLimits(1_000_000))
    open_image(message, ImageLimits(2_000_000))


@pytest.mark.parametrize(("sec", "nanosec"), [(0, 10**9), (2**31 - 1, 2**32 - 1), (-1, 10**9)])
def test_stamps_that_cannot_be_are_refused(sec: int, nanosec: int) -> None:
    class Stamp:
        pass

    header, stamp = Stamp(), Stamp()
    stamp.sec, stamp.nanosec, header.stamp = sec, nanosec, stamp  # type: ignore[attr-defined]
    with pytest.raises(MessageError, match=f"stamp has {nanosec} ns beside {sec} s"):
        stamp_of(header)  # type: ignore[arg-type]


def test_texts_of_others_are_quoted_and_short() -> None:
    assert quoted("rgb8") == "'rgb8'"
    assert quoted("a\n[FATAL]\x1b[2J") == r"'a\n[FATAL]\x1b[2J'"
    assert quoted("x" * 10**6) == f"'{'x' * 60}'... (1000000 characters)"


def test_an_array_that_is_only_claimed_is_refused(tmp_path: Path) -> None:
    """The header of a .npy file tells how much is to be allocated."""
    shape = "(1000000, 1000000)"
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    path = tmp_path / "depth.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    with pytest.raises(StackFileError):
        read_depth(path)


def cut_off_bag(path: Path, *statements: str) -> Path:
    """An SQLite bag with one message and with anything in its schema."""
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE topics (id INTEGER, name TEXT, type TEXT)")
        database.execute("CREATE TABLE messages (id INTEGER, topic_id, timestamp, data BLOB)")
        database.execute("INSERT INTO topics VALUES (1, '/a', 'std_msgs/msg/Empty')")
        database.execute("INSERT INTO messages VALUES (1, 1, 5, x'00010000')")
        database.execute("PRAGMA writable_schema = ON")
        for number, statement in enumerate(statements):
            name = "topics" if number == 0 else f"t{number}"
            database.execute(
                "INSERT INTO sqlite_master VALUES ('table', ?, ?, 0, ?)", (name, name, statement)
            )
    database.close()
    return path


def test_statements_in_a_bag_are_not_run(tmp_path: Path) -> None:
    outside = tmp_path / "outside.db3"
    bag = cut_off_bag(
        tmp_path / "bag.db3",
        f"ATTACH DATABASE '{outside}' AS other",
        "CREATE TABLE other.stolen (a)",
    )
    try:
        salvage_file(bag, tmp_path / "copy.db3")
    except FocdepthError as error:
        assert "bag.db3" in str(error)  # noqa: PT017, either is fine
    assert not outside.exists()


def test_a_table_of_any_name_is_passed_over(tmp_path: Path) -> None:
    bag = cut_off_bag(tmp_path / "bag.db3")
    with sqlite3.connect(bag) as database:
        database.execute('CREATE TABLE "x"" (a); DROP TABLE messages; --" (b)')
        database.execute("CREATE TABLE more (a)")
    database.close()
    assert "first 1 messages" in salvage_file(bag, tmp_path / "copy.db3")
    with sqlite3.connect(tmp_path / "copy.db3") as copy:
        tables = copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        assert copy.execute("SELECT data FROM messages").fetchall() == [(b"\0\1\0\0",)]
    copy.close()
    assert sorted(tables) == [("messages",), ("topics",)]
