"""Tables of camera drivers: those that are shipped, and what is wrong with others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from focdepth_ros.errors import DriverTableError
from focdepth_ros.lens.driver_table import Switch, read_driver_table

FOLDER = Path(__file__).parents[3] / "config" / "drivers"
SHIPPED = sorted(path.stem for path in FOLDER.glob("*.yaml"))

FOCUS = {
    "position": "Focus", "type": "double", "unit": "raw", "together": False, "tolerance": 1,
}  # fmt: skip
SMALL = {"node": "cam", "focus": FOCUS}


def table_of(folder: Path, content: object) -> Path:
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_what_is_shipped() -> None:
    assert SHIPPED == ["camera_ros", "depthai", "usb_cam", "v4l2_camera"]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_tables_are_whole(name: str) -> None:
    table = read_driver_table(name, FOLDER)
    assert table.manual
    assert table.exposure
    assert table.white_balance
    assert table.tolerance > 0.0
    # Where nothing tells that the lens has arrived, it gets time.
    assert table.frame_position or table.settle_time > 0.0


def test_camera_ros() -> None:
    table = read_driver_table("camera_ros", FOLDER)
    assert (table.node, table.position, table.is_dioptre) == ("camera", "LensPosition", True)
    assert table.together
    assert table.frames_between_calls >= 1
    assert table.manual == (Switch({"AfMode": 0}),)
    assert [set(switch.set) for switch in table.exposure] == [
        {"ExposureTimeMode", "AnalogueGainMode"},
        {"AeEnable"},
    ]


def test_prefix_is_part_of_every_name() -> None:
    table = read_driver_table("depthai", FOLDER)
    assert table.position == "rgb.r_focus"
    assert not table.together
    other = read_driver_table("depthai", FOLDER, "left.")
    assert other.position == "left.r_focus"
    assert other.manual == (Switch({"left.r_set_man_focus": True}),)


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    path = table_of(tmp_path, {**SMALL, "prefix": "a.", "settle_time": 1})
    table = read_driver_table(str(path), FOLDER)
    assert (table.node, table.position, table.range) == ("cam", "a.Focus", None)
    assert (table.settle_time, table.settle_frames, table.manual) == (1.0, 0, ())


def focus_with(**changes: object) -> dict[str, object]:
    return {**SMALL, "focus": {**FOCUS, **changes}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "content is []; write the keys node, prefix, focus"),
        ({"node": "cam"}, "no focus in content; needed are node, focus"),
        ({**SMALL, "frams": 1}, "unknown key 'frams' in content; known are"),
        (focus_with(tipe=1), "unknown key 'tipe' in focus"),
        (focus_with(position=3), "focus.position is 3; write a name"),
        (focus_with(type="float"), "focus.type is 'float'; write one of double, integer"),
        (focus_with(together="yes, please"), "focus.together is 'yes, please'; write true or"),
        (focus_with(tolerance=-1), "focus.tolerance is -1; write a number, 0 or more"),
        (focus_with(tolerance=float("nan")), "focus.tolerance is nan; write a number"),
        (focus_with(range=[5, 1]), "focus.range is [5, 1]; write [LEAST, GREATEST]"),
        (focus_with(range=5), "focus.range is 5; write [LEAST, GREATEST]"),
        (focus_with(manual={"AfMode": 0}), "focus.manual is {'AfMode': 0}; write a list of"),
        (focus_with(manual=[{"AfMode": 0}]), "unknown key 'AfMode' in focus.manual[0]"),
        (focus_with(manual=[{"set": {}}]), "focus.manual[0].set is {}; write parameters"),
        (focus_with(manual=[{"set": {"a": [1]}}]), "focus.manual[0].set.a is [1]; write a value"),
        (focus_with(manual=[{"set": {"a": 2**63}}]), "set.a is 9223372036854775808; write one of"),
        ({**SMALL, "exposure": [{"set": {"a": 1}, "hold": "b"}]}, "exposure[0].hold is 'b'"),
        ({**SMALL, "settle_frames": 1.5}, "settle_frames is 1.5; write a whole number"),
    ],
)
def test_what_is_wrong_with_a_table(tmp_path: Path, content: object, message: str) -> None:
    path = table_of(tmp_path, content)
    with pytest.raises(DriverTableError, match=re.escape(message)) as caught:
        read_driver_table(str(path), FOLDER)
    assert str(path) in str(caught.value)


def test_no_such_table(tmp_path: Path) -> None:
    with pytest.raises(DriverTableError, match="no table of the driver 'magic'; give one of camer"):
        read_driver_table("magic", FOLDER)
    with pytest.raises(DriverTableError, match="cannot be read: No such file"):
        read_driver_table(str(tmp_path / "none.yaml"), FOLDER)


@pytest.mark.parametrize(
    "text",
    ["a: [", "!!python/object/apply:os.getcwd []", "a: 2020-99-99", f"a: 1{'0' * 400}"],
    ids=["unclosed", "object", "date", "huge"],
)
def test_no_yaml(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DriverTableError, match="no valid YAML"):
        read_driver_table(str(path), FOLDER)
