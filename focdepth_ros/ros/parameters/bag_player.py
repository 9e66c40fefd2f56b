"""The parameters of `bag_player_node`; ``config/bag_player_node.yaml`` lists them."""

from __future__ import annotations

from dataclasses import dataclass

from focdepth_ros.errors import OptionError
from focdepth_ros.ros.params import parameter


@dataclass(frozen=True)
class BagPlayerParameters:
    """All parameters of `bag_player_node`.

    Raises
    ------
    OptionError
        If there is no bag.
    """

    bag: str = parameter("", "Bag to play: its folder, or a .db3 or .mcap file.")
    topics: str = parameter("", "Topics to play, separated by commas; empty: all.")
    rate: float = parameter(
        1.0, "Speed; 0.5 takes twice the time of the recording.", minimum=0.001, maximum=1000.0
    )
    loop: bool = parameter(False, "Begin again at the end, until interrupted.")
    clock: bool = parameter(
        False, "Publish the time of recording on /clock, for nodes with use_sim_time."
    )
    wait_for_subscribers: int = parameter(
        0,
        "Send nothing until images, focus states and ground truth have this many subscribers each.",
        minimum=0,
        maximum=1000,
    )
    awaited: str = parameter(
        "",
        "Topics that must have them, separated by commas; empty: those of the one camera in the "
        "bag, or else any topic.",
    )
    start_delay: float = parameter(
        0.0,
        "Time to wait after that [s]: a subscriber finds this node a little later than this node "
        "finds it.",
        minimum=0.0,
        maximum=3600.0,
    )
    exit_at_end: bool = parameter(
        True,
        "End when all is played; otherwise stay, so that latched messages can still be received.",
    )

    def __post_init__(self) -> None:
        if not self.bag:
            raise OptionError(
                "parameter 'bag' is empty; give the folder of a bag, or a .db3 or .mcap file"
            )

    @property
    def topic_names(self) -> tuple[str, ...]:
        """Of the topics to play; none: all."""
        return _names(self.topics)

    @property
    def awaited_names(self) -> tuple[str, ...]:
        """Of the topics that must be subscribed to; none: as found in the bag."""
        return _names(self.awaited)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
