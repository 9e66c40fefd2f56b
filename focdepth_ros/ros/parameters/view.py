"""The parameters of `view_node`; ``config/view_node.yaml`` lists them."""

from __future__ import annotations

from dataclasses import dataclass

from focdepth_ros.defaults import (
    DEFAULT_HOST,
    DEFAULT_VIEW_DATA_PORT,
    DEFAULT_VIEW_MEMORY_MB,
    DEFAULT_VIEW_PORT,
)
from focdepth_ros.ros.params import parameter
from focdepth_ros.viewer.target import ViewerTarget


@dataclass(frozen=True)
class ViewParameters:
    """All parameters of `view_node`."""

    host: str = parameter(
        DEFAULT_HOST, "Address that the page is served on; 0.0.0.0 for all of this machine."
    )
    port: int = parameter(DEFAULT_VIEW_PORT, "Of the page.", minimum=1, maximum=65535)
    data_port: int = parameter(
        DEFAULT_VIEW_DATA_PORT, "Of the data that the page fetches.", minimum=1, maximum=65535
    )
    memory_mb: int = parameter(
        DEFAULT_VIEW_MEMORY_MB,
        "What is kept for pages that are opened later; the oldest is dropped beyond it [MB].",
        minimum=16,
        maximum=65536,
    )
    save: str = parameter("", "Recording (.rrd) to write, in place of a page.")
    connect: str = parameter(
        "", "Running Rerun viewer, HOST:PORT, to show it in, in place of a page."
    )
    max_points: int = parameter(
        100_000,
        "Points of a cloud that are shown at most; of more, every n-th row and column.",
        minimum=1,
        maximum=100_000_000,
    )
    diagnostics_period: float = parameter(
        1.0, "Time between two messages on /diagnostics [s].", minimum=0.05, maximum=3600.0
    )

    def target(self) -> ViewerTarget:
        """Where it is shown; raises as `ViewerTarget`."""
        return ViewerTarget(
            self.host, self.port, self.data_port, self.memory_mb, self.save, self.connect
        )
