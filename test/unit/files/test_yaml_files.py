import re
from pathlib import Path

import pytest
import yaml

from focdepth_ros.errors import CalibrationError
from focdepth_ros.files.yaml_files import parse_yaml, read_yaml

HUGE = "1" + "0" * 400


def test_plain_values() -> None:
    assert parse_yaml("a: [1, 2.5, text]\nb: {c: true, d: null}") == {
        "a": [1, 2.5, "text"],
        "b": {"c": True, "d": None},
    }
    assert parse_yaml("[-17, 0x1F, 0b101, 1_000, 1:30]") == [-17, 31, 5, 1000, 90]
    assert parse_yaml(b"\xef\xbb\xbfa: 1") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected"),
        ("\x00", "special characters are not allowed"),
        ("2020-13-45", "month must be in 1..12"),
        ("[" * 5000, "recursion"),
        ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ('!!int ""', "index out of range"),
        ("!!bool perhaps", "perhaps"),
        ("!!timestamp soon", "NoneType"),
        (b"\xff\xfe\xfd", "codec|unacceptable|truncated"),
        (f"a: {HUGE}", "a whole number is too large"),
        (f"a: [-{HUGE}]", "a whole number is too large"),
        ("0x" + "f" * 9000, "a whole number is too large"),
        ("1" * 9000, "Exceeds the limit|too large"),
    ],
)
def test_what_is_no_yaml_has_one_error(text: str | bytes, message: str) -> None:
    with pytest.raises(yaml.YAMLError, match=message):
        parse_yaml(text)


def test_the_largest_whole_number_that_fits() -> None:
    assert parse_yaml("1" + "0" * 308) == 10**308


def test_errors_of_files_name_the_file_and_the_place(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(f"unit: raw\npositions: [0, {HUGE}]\n", encoding="utf-8")
    told = f"lens map '{path}' is no valid YAML (a whole number is too large"
    with pytest.raises(CalibrationError, match=f"{re.escape(told)}.*line 2, column 16"):
        read_yaml(path, "lens map", error=CalibrationError, remedy="give one")
