"""The settings of the sweep assembler, and sweeps as focal stacks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sweep_feed import DIOPTRES, FAR_TO_NEAR, NEAR_TO_FAR, Feed

from focdepth_ros.errors import OptionError, StackError
from focdepth_ros.stack import CameraIntrinsics
from focdepth_ros.sweep import DropReason, SweepConfig


class TestSweepStack:
    @pytest.mark.parametrize(
        ("reference", "dioptre"), [("first", 0.0), ("middle", 1.0), ("last", 2.0)]
    )
    def test_reference_is_counted_in_order_of_exposure(
        self, reference: str, dioptre: float
    ) -> None:
        sweep = Feed().frames(FAR_TO_NEAR).flush().sweeps[0]
        stack = sweep.stack(reference=reference)  # type: ignore[arg-type]
        np.testing.assert_allclose(stack.dioptres, NEAR_TO_FAR)
        assert stack.slices[stack.reference].dioptre == dioptre

    def test_unknown_reference(self) -> None:
        sweep = Feed().frames(DIOPTRES).flush().sweeps[0]
        with pytest.raises(OptionError, match=r"'best'.*first, middle, last"):
            sweep.stack(reference="best")  # type: ignore[arg-type]

    def test_intrinsics_of_another_size(self) -> None:
        sweep = Feed().frames(DIOPTRES).flush().sweeps[0]
        with pytest.raises(StackError, match="640x480"):
            sweep.stack(CameraIntrinsics(640, 480, 500.0, 500.0, 320.0, 240.0))


class TestConfig:
    @pytest.mark.parametrize(
        ("config", "named"),
        [
            ({"split": "magic"}, "'magic'.*auto, sweep_id, reversal, count, window"),
            ({"min_slices": 1}, "min_slices is 1"),
            ({"max_slices": 2}, "max_slices is 2.*min_slices, 3"),
            ({"timeout": 0.0}, "timeout is 0.0"),
            ({"timeout": math.nan}, "timeout is nan"),
            ({"timeout": math.inf}, "timeout is inf"),
            ({"min_dioptre_step": -0.1}, "min_dioptre_step is -0.1"),
            ({"min_dioptre_step": math.nan}, "min_dioptre_step is nan"),
            ({"match_window": 0}, "match_window is 0"),
            ({"split": "count", "count": 2}, "count is 2.*3 to 64"),
            ({"split": "window", "count": 65}, "count is 65.*3 to 64"),
            ({"split": "window", "window_stride": 0}, "window_stride is 0.*1 to count, 10"),
            ({"split": "window", "window_stride": 11}, "window_stride is 11"),
        ],
    )
    def test_values_out_of_range_are_named(self, config: dict[str, object], named: str) -> None:
        with pytest.raises(OptionError, match=named):
            SweepConfig(**config)  # type: ignore[arg-type]

    def test_count_matters_only_where_it_is_used(self) -> None:
        assert SweepConfig(min_slices=12).count == 10


def test_drop_reasons_are_plain_strings_to_look_at() -> None:
    reason = DropReason.UNSETTLED
    assert reason == "unsettled"
    assert f"{reason}" == str(reason) == "unsettled"
    assert {reason: 1} == {"unsettled": 1}
