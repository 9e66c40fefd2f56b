"""A simulated camera driver and `sweep_node` on it, and what the two say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rclpy.qos import QoSProfile
from ros_harness import Diagnostics, Peer
from simulated_drivers import raw_lens_map
from std_srvs.srv import Trigger

from focdepth_ros.lens.lens_map import write_lens_map
from focdepth_ros.messages.reading import stamp_of
from focdepth_ros.msg import FocusState
from focdepth_ros.ros.node_process import NodeProcess

NEAR, FAR, STEPS = 0.5, 3.0, 4
SWEEP = "sweep_node/sweep"
#: Node of each driver, and where its images are.
NODES = {"camera_ros": "camera", "v4l2_camera": "v4l2_camera", "usb_cam": "usb_cam"}
IMAGES = {"camera_ros": "/camera/image_raw", "v4l2_camera": "/image_raw", "usb_cam": "/image_raw"}


def driver_process(driver: str, folder: Path, **faults: Any) -> NodeProcess:
    """A simulated driver that has just been started."""
    path = f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    environment = {**os.environ, "SIMULATED_DRIVER": driver, "PYTHONPATH": path}
    log = folder / f"driver_{len(list(folder.iterdir()))}.log"
    parameters = {f"sim.{name}": value for name, value in faults.items()}
    return NodeProcess("simulated_drivers", parameters, log, environment)


@dataclass
class SweepRig:
    """What a test holds of the two nodes."""

    peer: Peer
    driver: str
    folder: Path
    driver_process: NodeProcess
    node: NodeProcess
    states: list[Any] = field(default_factory=list)
    truths: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._subscriptions: list[Any] = []
        self.diagnostics = Diagnostics(self.peer, "sweep_node")
        # The node is to know where to send answers long before it is asked: a sweep that is asked
        # for twice is two sweeps.
        self.peer.prepare(Trigger, SWEEP)
        for topic, messages in (("focus_state", self.states), ("sim/truth", self.truths)):
            self._subscriptions.append(
                self.peer.node.create_subscription(
                    FocusState, topic, messages.append, QoSProfile(depth=50)
                )
            )

    def wait_for_sweeps(self, count: int = 1) -> None:
        """Until so many more sweeps were made than is known of."""
        before = self.diagnostics.count("sweeps made")
        self.wait(lambda: self.diagnostics.count("sweeps made") >= before + count, "sweeps")

    def wait_for_whole_sweeps(self, frames: int) -> tuple[int, int]:
        """The ids of two sweeps, one after the other, of which all frames and truths were heard.

        Parameters
        ----------
        frames : int
            That count, in each.
        """
        self.wait(self.settled_with_truth, "a frame that counts")
        # Some of the first sweep may have come before this process was known to both nodes.
        first = min(state.sweep_id for state, _ in self.settled_with_truth())

        def is_whole(sweep_id: int) -> bool:
            heard = [state for state, _ in self.settled_with_truth() if state.sweep_id == sweep_id]
            return len(heard) >= frames

        self.wait(lambda: is_whole(first + 1) and is_whole(first + 2), "two whole sweeps")
        return first + 1, first + 2

    def wait(self, condition: Any, what: str) -> Any:
        try:
            return self.peer.wait_for(condition, what)
        except AssertionError as error:
            raise AssertionError(
                f"{error}\n{self.diagnostics.message}\n{self.node.last_words()}\n"
                f"{self.driver_process.last_words()}"
            ) from error

    def get(self, *names: str, node: str = "") -> list[Any]:
        """Parameters of the driver, or of another node."""
        return self.peer.get_parameters(node or NODES[self.driver], *names)

    def set(self, node: str = "", **values: Any) -> list[Any]:
        """Set parameters of the driver (``sim_x`` for ``sim.x``), or of another node."""
        named = {name.replace("sim_", "sim."): value for name, value in values.items()}
        return self.peer.set_parameters(node or NODES[self.driver], named)

    def ask_for_sweep(self) -> Any:
        """The future answer of the service."""
        return self.peer.client(Trigger, SWEEP).call_async(Trigger.Request())

    def restart_driver(self) -> None:
        """A new process of the same driver."""
        self.driver_process = driver_process(self.driver, self.folder)

    def stop(self) -> None:
        """End both nodes."""
        self.node.stop()
        self.driver_process.stop()
        for subscription in self._subscriptions:
            self.peer.node.destroy_subscription(subscription)

    def settled_with_truth(self) -> list[tuple[Any, Any]]:
        """Focus states that count, and what was so."""
        truths = {stamp_of(truth.header): truth for truth in self.truths}
        settled = [state for state in self.states if state.settled]
        return [(s, truths[stamp_of(s.header)]) for s in settled if stamp_of(s.header) in truths]

    def settled(self, sweep_id: int) -> list[Any]:
        """Focus states of a sweep that count."""
        return [s for s in self.states if s.settled and s.sweep_id == sweep_id]


@contextmanager
def sweep_rig(
    peer: Peer,
    driver: str,
    folder: Path,
    /,
    *,
    faults: dict[str, Any] | None = None,
    remappings: dict[str, str] | None = None,
    **parameters: Any,
) -> Iterator[SweepRig]:
    """A driver and the node at work; both are ended afterwards."""
    every = {
        "driver": driver,
        "near": NEAR,
        "far": FAR,
        "steps": STEPS,
        "converge_time": 0.2,
        "retry_delay": 0.2,
        # For a busy computer; tests of what takes too long set shorter ones.
        "move_timeout": 5.0,
        "response_timeout": 5.0,
        "diagnostics_period": 0.1,
        **parameters,
    }
    if driver != "camera_ros" and "lens_map" not in parameters:
        write_lens_map(folder / "lens.yaml", raw_lens_map())
        every["lens_map"] = str(folder / "lens.yaml")
    with ExitStack() as stack:
        process = driver_process(driver, folder, **(faults or {}))
        log = folder / f"sweep_node_{len(list(folder.iterdir()))}.log"
        node = NodeProcess("focdepth_ros.ros.sweep_node", every, log, remappings=remappings)
        rig = SweepRig(peer, driver, folder, process, node)
        stack.callback(rig.stop)
        yield rig
