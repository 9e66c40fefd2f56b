"""Async functions that go on a step at a time."""

from __future__ import annotations

import math

import pytest

from focdepth_ros.ros.sweep_node_parts.stepping import Routine, until


def test_goes_on_when_the_condition_holds() -> None:
    flags: list[str] = []

    async def work() -> None:
        flags.append("begun")
        assert await until(lambda: "go" in flags, math.inf)
        flags.append("done")

    routine = Routine(work())
    routine.step()
    routine.step()
    assert (flags, routine.is_done) == (["begun"], False)
    flags.append("go")
    routine.step()
    assert (flags[-1], routine.is_done) == ("done", True)
    routine.step()  # of no consequence


def test_does_not_wait_longer_than_it_may() -> None:
    outcome: list[bool] = []

    async def work() -> None:
        outcome.append(await until(lambda: False, 0.0))

    Routine(work()).step()
    assert outcome == [False]


def test_a_step_within_a_step_is_none() -> None:
    async def work() -> None:
        routine.step()
        await until(lambda: False, math.inf)

    routine = Routine(work())
    routine.step()
    assert not routine.is_done


def test_an_error_ends_it_and_is_raised() -> None:
    async def work() -> None:
        raise ValueError("so")

    routine = Routine(work())
    with pytest.raises(ValueError, match="so"):
        routine.step()
    assert routine.is_done
