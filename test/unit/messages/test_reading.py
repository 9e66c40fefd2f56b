"""Numbers are found in messages of any type; what is no number is named."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from focdepth_ros.errors import MessageError
from focdepth_ros.messages.reading import number_in

MESSAGE = SimpleNamespace(
    data=7,
    point=SimpleNamespace(x=0.5),
    position=np.array([1.0, 2.5]),
    flag=True,
    text="5",
    gap=math.nan,
    _hidden=3,
)


@pytest.mark.parametrize(
    ("path", "value"), [("data", 7.0), ("point.x", 0.5), ("position[1]", 2.5), ("gap", math.nan)]
)
def test_numbers(path: str, value: float) -> None:
    assert number_in(MESSAGE, path) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("value", "has no field 'value'"),
        ("point.w", "has no field 'point.w'"),
        ("point", "'point' of SimpleNamespace is SimpleNamespace"),
        ("flag", "is bool; give the place of a number"),
        ("text", "is str"),
        ("position[2]", "has nothing at 'position[2]'"),
        ("data[0]", "has nothing at 'data[0]'"),
        ("_hidden", "is no place in a message"),
        ("__class__", "is no place in a message"),
        ("position[-1]", "is no place in a message"),
        ("", "is no place in a message"),
    ],
)
def test_what_is_no_number(path: str, words: str) -> None:
    with pytest.raises(MessageError) as caught:
        number_in(MESSAGE, path)
    assert words in str(caught.value)
