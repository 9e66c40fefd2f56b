"""The networks answer a sweep that comes over DDS; run by make test-torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from depth_results import DepthResults
from ros_harness import CameraDriver, Diagnostics, Peer, pixels
from small_sweep import small_sweep

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.libraries import NETWORK_LIBRARIES, missing_because
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.ros.node_process import NodeProcess

MISSING = missing_because(NETWORK_LIBRARIES, "torch")
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

PARAMETERS = {
    "focdepthformer.device": "cpu",
    "stackmff_v2.device": "cpu",
    "min_confidence": 0.0,
    "diagnostics_period": 0.1,
}


@pytest.fixture(params=["focdepthformer", "stackmff_v2"])
def network(request: pytest.FixtureRequest, domain: int, tmp_path: Path) -> Iterator[str]:
    """Name of the network that a depth_node runs."""
    parameters = {**PARAMETERS, "backend": request.param}
    with NodeProcess("focdepth_ros.ros.depth_node", parameters, tmp_path / "log"):
        yield request.param


def test_depth_is_that_of_the_network_and_near_the_truth(network: str, peer: Peer) -> None:
    diagnostics, driver = Diagnostics(peer), CameraDriver(peer)
    results = DepthResults(peer, ("depth/image", "confidence/image", "sweep_info"))
    results.wait_until_served(diagnostics, driver)
    simulated = small_sweep()
    driver.send_sweep(simulated.stack)
    messages = results.wait_for_one()
    assert messages["sweep_info"].backend == network
    assert messages["sweep_info"].fallback_reason == ""
    depth = pixels(messages["depth/image"])
    backend = create_backend(network, device="cpu")
    expected = DepthPipeline(backend, min_confidence=0.0).estimate(simulated.stack)
    np.testing.assert_allclose(depth, expected.depth, rtol=1e-3)
    np.testing.assert_allclose(pixels(messages["confidence/image"]), expected.confidence, atol=1e-3)
    assert np.mean(np.abs(depth - simulated.depth) / simulated.depth) < 0.03
