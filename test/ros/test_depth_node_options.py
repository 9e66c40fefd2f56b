"""What the node makes of its parameters, of who listens, and of a camera without calibration."""

from __future__ import annotations

import array
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from depth_results import DepthResults
from ros_harness import CameraDriver, Diagnostics, Peer, image_message, pixels
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from small_sweep import WIDTH, small_sweep

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.ros.node_process import NodeProcess
from focdepth_ros.stack import FocalStack, ImageArray, Slice

STACK = small_sweep().stack
NodeStarter = Callable[..., Any]


@pytest.fixture
def started(domain: int, tmp_path: Path) -> NodeStarter:
    @contextmanager
    def start(**parameters: object) -> Iterator[NodeProcess]:
        every = {"min_confidence": 0.0, "diagnostics_period": 0.1, **parameters}
        with NodeProcess("focdepth_ros.ros.depth_node", every, tmp_path / "log") as process:
            yield process

    return start


def expected_of(convert: Callable[[ImageArray], ImageArray]) -> DepthEstimate:
    """The answer to the sweep with every image converted."""
    slices = [Slice(convert(item.image), item.focus_distance) for item in STACK.slices]
    return DepthPipeline(min_confidence=0.0).estimate(FocalStack(slices))


def test_nothing_is_worked_on_while_nobody_listens(started: NodeStarter, peer: Peer) -> None:
    with started():
        driver, diagnostics = CameraDriver(peer), Diagnostics(peer)
        driver.wait_until_heard(diagnostics)
        driver.send_sweep(STACK)
        peer.wait_for(
            lambda: diagnostics.count("images received") == len(STACK), "the images to be counted"
        )
        assert diagnostics.level == 0
        assert "idle, nobody subscribes" in diagnostics.message
        assert diagnostics.count("sweeps received") == 0

        results = DepthResults(peer, ("confidence/image",))
        results.wait_until_served(diagnostics, driver)
        headers = driver.send_sweep(STACK)
        message = results.wait_for_one()["confidence/image"]
        assert message.header == headers[-1]
        assert "idle" not in diagnostics.message
        peer.wait_for(lambda: diagnostics.count("sweeps answered") == 1, "the sweep to be counted")


def test_without_camera_info_there_is_depth_but_no_cloud(started: NodeStarter, peer: Peer) -> None:
    with started() as process:
        driver, diagnostics = CameraDriver(peer, calibrated=False), Diagnostics(peer)
        results = DepthResults(peer)
        results.wait_until_served(diagnostics, driver)
        for _ in range(2):
            results.clear()
            driver.send_sweep(STACK)
            messages = results.wait_for_one("points", "depth/camera_info")
            assert np.isfinite(pixels(messages["depth/image"])).all()
        why = "depth is published, but no points: no camera_info on /camera_info"
        peer.wait_for(lambda: why in diagnostics.message, "the reason on /diagnostics")
        assert diagnostics.level == 1
        assert results.received["points"] == results.received["depth/camera_info"] == []

        info = peer.node.create_publisher(CameraInfo, "camera_info", 1)
        publishers = "publishers of /camera_info"
        peer.wait_for(
            lambda: info.get_subscription_count() and diagnostics.count(publishers),
            "the node to know of camera_info",
        )

        def is_named() -> bool:
            info.publish(CameraInfo(width=WIDTH, height=120))
            driver.send_sweep(STACK)
            peer.spin(0.1)
            return "no points: camera_info has no calibration: K is zero" in diagnostics.message

        peer.wait_for(is_named, "the other reason on /diagnostics")
        log = process.log.read_text(encoding="utf-8")
        warnings = re.findall(r"^\[WARN\].*\[depth_node\]: (.*)$", log, re.MULTILINE)
        assert ["no camera_info on" in line for line in warnings] == [True, False]


def test_settings_of_backend_and_alignment(started: NodeStarter, peer: Peer) -> None:
    settings = {
        "graph_cut.solver": "exact",
        "graph_cut.window_sigma": 2,
        "alignment.method": "none",
    }
    with started(backend="graph_cut", fill_holes=True, **settings):
        driver, diagnostics = CameraDriver(peer), Diagnostics(peer)
        results = DepthResults(peer, ("depth/image",))
        results.wait_until_served(diagnostics, driver)
        driver.send_sweep(STACK)
        depth = pixels(results.wait_for_one()["depth/image"])
    backend = create_backend("graph_cut", solver="exact", window_sigma=2.0)
    pipeline = DepthPipeline(backend, alignment=AlignmentConfig("none"), min_confidence=0.0)
    np.testing.assert_array_equal(depth, pipeline.estimate(STACK).depth)


def jpeg(image: ImageArray) -> CompressedImage:
    encoded = cv2.imencode(".jpg", image[..., ::-1])[1]
    return CompressedImage(format="jpeg", data=array.array("B", encoded.tobytes()))


def of_jpeg(image: ImageArray) -> ImageArray:
    data = np.frombuffer(jpeg(image).data, np.uint8)
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def test_compressed_images(started: NodeStarter, peer: Peer) -> None:
    with started(compressed=True):
        driver = CameraDriver(peer, image_kind=CompressedImage, image_topic="image_raw/compressed")
        diagnostics, results = Diagnostics(peer), DepthResults(peer, ("depth/image",))
        results.wait_until_served(diagnostics, driver)
        driver.images.publish(CompressedImage(format="jpeg", data=array.array("B", b"\xff\xd8")))
        driver.send_sweep(STACK, convert=jpeg)
        depth = pixels(results.wait_for_one()["depth/image"])
        np.testing.assert_array_equal(depth, expected_of(of_jpeg).depth)
        peer.wait_for(lambda: diagnostics.count("bad compressed image") == 1, "the fault")


def mono12(image: ImageArray) -> Image:
    """Green in twelve of sixteen bits."""
    wide = image[..., 1].astype("<u2") * 16
    return Image(
        height=image.shape[0],
        width=image.shape[1],
        encoding="mono16",
        step=2 * image.shape[1],
        data=array.array("B", wide.tobytes()),
    )


def of_mono12(image: ImageArray) -> ImageArray:
    return np.rint(image[..., 1].astype(np.float64) * 16 * 255 / 4095).astype(np.uint8)


def test_images_of_16_bits_and_the_first_slice_as_reference(
    started: NodeStarter, peer: Peer
) -> None:
    with started(image_bit_depth=12, reference="first"):
        driver, diagnostics = CameraDriver(peer), Diagnostics(peer)
        results = DepthResults(peer, ("depth/image", "all_in_focus/image", "sweep_info"))
        results.wait_until_served(diagnostics, driver)
        headers = driver.send_sweep(STACK, convert=mono12)
        messages, expected = results.wait_for_one(), expected_of(of_mono12)
        assert {str(message.header) for message in messages.values()} == {str(headers[0])}
        assert messages["sweep_info"].reference == 0
        np.testing.assert_array_equal(pixels(messages["depth/image"]), expected.depth)
        colours = pixels(messages["all_in_focus/image"])
        np.testing.assert_array_equal(colours, expected.all_in_focus)


def set_parameter(peer: Peer, name: str, value: float) -> Any:
    return peer.set_parameters("depth_node", {name: value})[0]


def test_parameters_that_change_while_the_node_runs(started: NodeStarter, peer: Peer) -> None:
    def depth_of_next_sweep() -> np.ndarray:
        results.clear()
        driver.send_sweep(STACK)
        return pixels(results.wait_for_one()["depth/image"])

    with started():
        driver, diagnostics = CameraDriver(peer), Diagnostics(peer)
        results = DepthResults(peer, ("depth/image",))
        results.wait_until_served(diagnostics, driver)
        everywhere = depth_of_next_sweep()
        assert np.isfinite(everywhere).all()

        assert set_parameter(peer, "max_range", 1.5).successful
        assert set_parameter(peer, "min_range", 0.9).successful
        inside = (everywhere >= 0.9) & (everywhere <= 1.5)
        assert 0.1 < inside.mean() < 0.9
        np.testing.assert_array_equal(
            depth_of_next_sweep(), np.where(inside, everywhere, np.float32(np.nan))
        )
        assert set_parameter(peer, "min_confidence", 1.0).successful
        assert np.isnan(depth_of_next_sweep()).mean() > 0.5

        refused = set_parameter(peer, "min_range", 2.0)
        assert not refused.successful
        assert "min_range must be smaller" in refused.reason
        assert not set_parameter(peer, "min_confidence", 1.5).successful
        assert "read-only" in set_parameter(peer, "sweep.timeout", 2.0).reason


def test_silence_is_named(started: NodeStarter, peer: Peer) -> None:
    with started():
        diagnostics, driver = Diagnostics(peer), CameraDriver(peer)
        results = DepthResults(peer, ("depth/image",))
        results.wait_until_served(diagnostics, driver)
        peer.wait_for(lambda: "no images on /image_raw" in diagnostics.message, "no images")

        def images_only() -> bool:
            header = driver.next_header()
            driver.images.publish(image_message(STACK.slices[0].image, header))
            return "images but no focus states on /focus_state" in diagnostics.message

        peer.wait_for(images_only, "no focus states")
        assert diagnostics.level == 1


@pytest.mark.slow
def test_one_sweep_id_for_all_frames_is_complained_about(started: NodeStarter, peer: Peer) -> None:
    with started():
        driver, diagnostics = CameraDriver(peer), Diagnostics(peer)
        results = DepthResults(peer, ("depth/image",))
        results.wait_until_served(diagnostics, driver)
        for _ in range(400):
            for item in STACK.slices:
                assert item.focus_distance is not None
                driver.send(item.image, item.focus_distance, sweep_id=7)
                peer.spin(0.02)
            if "no sweep has ended" in diagnostics.message:
                break
        assert diagnostics.level == 1
        assert "no sweep has ended for 30 s" in diagnostics.message
