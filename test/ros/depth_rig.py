"""A depth node at work, with all that is needed to disturb it and to see it recover."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from depth_results import DepthResults
from ros_harness import CameraDriver, Diagnostics, Peer, image_message, pixels
from small_sweep import small_sweep

from focdepth_ros.ros.node_process import NodeProcess
from focdepth_ros.stack import FocalStack

GOOD = small_sweep().stack.slices[0].image
PARAMETERS = {"diagnostics_period": 0.1, "sweep.timeout": 0.5, "max_image_pixels": 100_000}


@dataclass
class DepthRig:
    """A depth node at work, with all that is needed to talk to it."""

    process: NodeProcess
    peer: Peer
    driver: CameraDriver
    diagnostics: Diagnostics
    results: DepthResults

    @property
    def log(self) -> str:
        """All that the node has logged."""
        return self.process.log.read_text(encoding="utf-8", errors="replace")

    def send_image(self, **changes: Any) -> None:
        """Send an image of which some fields are wrong, with a good focus state."""
        header = self.driver.next_header()
        message = image_message(GOOD, header)
        for field, value in changes.items():
            setattr(message, field, value)
        self.driver.send(message, 1.0, header)

    def assert_good_sweep(self, stack: FocalStack | None = None) -> dict[str, Any]:
        """A good sweep goes in and a good depth comes out, with the stamp of the last frame."""
        self.results.clear()
        headers = self.driver.send_sweep(small_sweep().stack if stack is None else stack)

        def answer() -> Any:
            found = [m for m in self.results.received["depth/image"] if m.header == headers[-1]]
            return found[0] if found and len(found) == 1 else None

        depth = self.peer.wait_for(answer, "the answer to a good sweep")
        assert np.isfinite(pixels(depth)).mean() > 0.9
        return self.results.wait_for_one()

    def assert_unharmed(self) -> None:
        """The node is there, and nothing in it went wrong that it did not foresee."""
        assert self.process.exit_code is None, self.process.last_words()
        assert "internal error" not in self.log
        assert "Traceback" not in self.log


@contextmanager
def depth_rig(
    peer: Peer, folder: Path, parameters: Mapping[str, Any] | None = None
) -> Iterator[DepthRig]:
    """Start a depth node and wait until it knows its camera and its subscribers."""
    every = {**PARAMETERS, **(parameters or {})}
    with NodeProcess("focdepth_ros.ros.depth_node", every, folder / "log") as process:
        driver, diagnostics = CameraDriver(peer), Diagnostics(peer)
        results = DepthResults(peer, ("depth/image", "sweep_info"))
        results.wait_until_served(diagnostics, driver)
        # Just after it was subscribed to, the node puts up with images without focus state.
        peer.spin(1.2)
        yield DepthRig(process, peer, driver, diagnostics, results)
