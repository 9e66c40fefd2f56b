"""What `depth_node` tells of its own state on ``/diagnostics``, once per period."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rclpy.node import Node

from focdepth_ros.ros.focus_sources import FocusSource
from focdepth_ros.ros.node_support.health import NodeHealth
from focdepth_ros.ros.node_support.self_report import StatusPublisher
from focdepth_ros.ros.node_support.surroundings import clock_warning

_SILENCE = 3.0  # seconds without a message after which its topic counts as silent
_ENDLESS = 30.0  # seconds of frames without the end of a sweep after which something is wrong
_LONGEST_ID = 256  # characters


class DepthDiagnostics:
    """Watches whether images, focus states and sweeps come, and publishes what it sees.

    Parameters
    ----------
    node : Node
    health : NodeHealth
        What else is wrong.
    image_topic : str
        Its full name, as that of `info_topic`.
    focus : FocusSource
    info_topic : str
    """

    def __init__(
        self,
        node: Node,
        health: NodeHealth,
        image_topic: str,
        focus: FocusSource,
        info_topic: str,
    ) -> None:
        self._node = node
        self._health = health
        self._image_topic = image_topic
        self._focus = focus
        self._inputs = (image_topic, focus.topic, info_topic)
        self._status = StatusPublisher(node, health, "depth from focus")
        self.begin()

    def begin(self) -> None:
        """From now on something should come."""
        self._began = time.monotonic()
        #: When something of each kind came last, in seconds of the monotonic clock.
        self.last_image = self.last_settled = self.last_sweep = self._began

    def report(
        self,
        *,
        is_listening: bool,
        wanted: Sequence[str],
        under_way: int,
        backend: str,
        aif_only: bool,
        frame_id: str,
    ) -> None:
        """Publish the state.

        Parameters
        ----------
        is_listening : bool
            Whether somebody wants results, so that something should come in.
        wanted : sequence of str
            The results that somebody subscribes to.
        under_way : int
            Number of sweeps that are not yet answered.
        backend : str
        aif_only : bool
            Whether the all-in-focus image is all there is.
        frame_id : str
        """
        self._look(is_listening)
        for topic in self._inputs:
            publishers = str(self._node.count_publishers(topic))
            self._health.set_value(f"publishers of {topic}", publishers)
        self._health.set_value("results subscribed to", ", ".join(wanted))
        self._health.set_value("sweeps under way", str(under_way))
        idle = "" if is_listening else "idle, nobody subscribes to a result; "
        alone = ", all-in-focus image alone" if aif_only else ""
        self._status.publish(f"{idle}backend {backend}{alone}", hardware_id=frame_id)

    def _look(self, is_listening: bool) -> None:
        now = time.monotonic()
        silent_since = now - _SILENCE
        no_images = is_listening and self.last_image < silent_since
        no_focus = None
        if is_listening and not no_images and self._began < silent_since:
            no_focus = self._focus.lack(silent_since=silent_since)
        frames_come = is_listening and not no_images and no_focus is None
        # A camera that is swept on demand sends no settled frames in between.
        has_settled = self.last_settled > silent_since
        self._health.condition(
            "images",
            f"no images on {self._image_topic}; start the camera driver, or remap image_raw"
            if no_images
            else None,
        )
        self._health.condition("focus states", no_focus)
        self._health.condition(
            "sweeps",
            f"frames come, but no sweep has ended for {_ENDLESS:.0f} s; does the focus move, and "
            "does the driver count sweep_id and sweep_step?"
            if frames_come and has_settled and self.last_sweep < now - _ENDLESS
            else None,
        )
        self._health.condition("clock", clock_warning(self._node))
