from __future__ import annotations

from focdepth_ros.options import option_infos
from focdepth_ros.ros.parameters.sweep import SweepNodeParameters
from focdepth_ros.ros.sweep_node_parts import frame_source


def test_the_parameter_offers_what_there_is() -> None:
    (info,) = (info for info in option_infos(SweepNodeParameters) if info.name == "frames")
    assert info.choices is not None
    assert set(info.choices) == {"auto", "diagnostics", *frame_source._TOPICS}
