"""The parameters of `evaluator_node`; ``config/evaluator_node.yaml`` lists them."""

from __future__ import annotations

from dataclasses import dataclass

from focdepth_ros.defaults import DEFAULT_DEPTH_TOLERANCE_S
from focdepth_ros.errors import OptionError
from focdepth_ros.ros.params import parameter


@dataclass(frozen=True)
class EvaluatorParameters:
    """All parameters of `evaluator_node`.

    Raises
    ------
    OptionError
        If there is no folder for the results.
    """

    output: str = parameter("evaluation/live", "Folder of the results; it must have none yet.")
    title: str = parameter("", "What is evaluated, such as the path of the bag; for the report.")
    backend: str = parameter(
        "",
        "Backend that depth_node was asked for; the answer of another one is named, not scored. "
        "Empty or auto: that of the first answer that is no fallback.",
    )
    pictures: bool = parameter(True, "Pictures of depths and errors in the report.")
    depth_tolerance: float = parameter(
        DEFAULT_DEPTH_TOLERANCE_S,
        "Time between the reference slice of a sweep and a ground truth of it, at most [s].",
        minimum=0.0,
        maximum=3600.0,
    )
    truths_kept: int = parameter(
        200,
        "Number of recent ground truths kept for answers that are still to come.",
        minimum=1,
        maximum=100_000,
    )
    same_grid: bool = parameter(
        False,
        "The ground truth is on the pixel grid of the images although its frame_id is another; "
        "else such truths are not used, since only `focdepth bag eval` registers them.",
    )
    depth_node: str = parameter("depth_node", "Name of the node whose answers are evaluated.")
    finish_with_camera: bool = parameter(
        True,
        "Write the report and end once nobody publishes focus states any more, as when a bag is "
        "played to its end, and depth_node has answered all sweeps; otherwise when interrupted.",
    )
    patience: float = parameter(
        60.0,
        "Time without a message from depth_node after which no more answers are waited for at the "
        "end [s].",
        minimum=1.0,
        maximum=86400.0,
    )
    diagnostics_period: float = parameter(
        1.0, "Time between two messages on /diagnostics [s].", minimum=0.05, maximum=3600.0
    )

    def __post_init__(self) -> None:
        if not self.output:
            raise OptionError("parameter 'output' is empty; give a folder for the results")
        if not self.depth_node:
            raise OptionError("parameter 'depth_node' is empty; give the name of the node")

    @property
    def asked_backend(self) -> str:
        """The backend that was asked for; empty: not known."""
        return "" if self.backend == "auto" else self.backend
