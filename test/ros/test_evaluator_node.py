"""Answers are scored, bad ones named, and the report is there at the end, however it comes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jinja2")

from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from ros_harness import Diagnostics, Peer, refusal
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.msg import FocusState, SweepInfo
from focdepth_ros.ros.conversions import float_image_message, rgb_image_message, time_message
from focdepth_ros.ros.evaluator_node import main
from focdepth_ros.ros.node_process import NodeProcess, ParameterValue
from focdepth_ros.stack import FloatImage

MODULE = "focdepth_ros.ros.evaluator_node"
SIZE = (48, 64)
TRUTH: FloatImage = np.linspace(0.5, 3.0, SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE)
ANSWER: FloatImage = TRUTH * np.float32(1.1)


class Publisher:
    """Says what `depth_node` and a camera with ground truth say."""

    def __init__(self, peer: Peer, *, truths: bool = True, latched: bool = True) -> None:
        self._peer = peer
        create = peer.node.create_publisher
        self.results = {
            # More than of depth_node, for sweeps that come without a pause.
            "depth/image": create(Image, "depth/image", 50),
            "confidence/image": create(Image, "confidence/image", 50),
            "all_in_focus/image": create(Image, "all_in_focus/image", 50),
            "sweep_info": create(SweepInfo, "sweep_info", 50),
        }
        self.focus = create(FocusState, "focus_state", 2)
        durability = (
            QoSDurabilityPolicy.TRANSIENT_LOCAL if latched else QoSDurabilityPolicy.VOLATILE
        )
        qos = QoSProfile(depth=50, durability=durability)
        self.truths = create(Image, "ground_truth/depth", qos) if truths else None

    def close(self) -> None:
        node = self._peer.node
        for publisher in (*self.results.values(), self.focus, self.truths):
            if publisher is not None:
                node.destroy_publisher(publisher)
        self.results, self.focus, self.truths = {}, None, None

    def wait_until_heard(self) -> None:
        heard = [*self.results.values(), *([self.truths] if self.truths else [])]
        self._peer.wait_for(
            lambda: all(item.get_subscription_count() for item in heard), "the evaluator"
        )

    def send(self, number: int, depth: Any = ANSWER, *, without: str = "", **info: Any) -> None:
        """The answer to a sweep; `depth` is an array, or a message without header."""
        header = Header(stamp=time_message(number * 10**9))
        if self.truths is not None:
            self.truths.publish(float_image_message(TRUTH, header))
        if isinstance(depth, np.ndarray):
            depth = float_image_message(depth, header)
        depth.header = header
        picture = np.zeros((*SIZE, 3), np.uint8)
        messages = {
            "depth/image": depth,
            "confidence/image": float_image_message(np.full(SIZE, 0.9, np.float32), header),
            "all_in_focus/image": rgb_image_message(picture, header),
            "sweep_info": SweepInfo(
                header=header,
                **{
                    "sequence": number,
                    "stamps": [header.stamp] * 8,
                    "backend": "argmax",
                    "time_per_slice": 0.01,
                    "time_finish": 0.05,
                    "latency_after_last_frame": 0.06,
                    **info,
                },
            ),
        }
        for topic, message in messages.items():
            if topic != without:
                self.results[topic].publish(message)
        self._peer.spin(0.02)


@contextmanager
def publishing(peer: Peer, **options: bool) -> Iterator[Publisher]:
    publisher = Publisher(peer, **options)
    try:
        yield publisher
    finally:
        publisher.close()


def evaluator(folder: Path, **parameters: ParameterValue) -> NodeProcess:
    every = {"output": str(folder / "out"), "diagnostics_period": 0.1, **parameters}
    return NodeProcess(MODULE, every, folder / "log")


def scores_of(folder: Path) -> dict[str, dict[str, Any]]:
    lines = (folder / "out" / "scores.jsonl").read_text(encoding="utf-8").splitlines()
    return {score["scene"]: score for score in map(json.loads, lines)}


def wait_for_end(peer: Peer, process: NodeProcess) -> str:
    peer.wait_for(lambda: process.exit_code is not None, "the node to end")
    return process.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_the_report(
    domain: int, peer: Peer, tmp_path: Path, number: signal.Signals
) -> None:
    latched = number == signal.SIGINT  # the other way, and both are heard
    diagnostics = Diagnostics(peer, "evaluator_node")
    with publishing(peer, latched=latched) as publisher, evaluator(tmp_path) as process:
        publisher.wait_until_heard()
        for sweep in (1, 2):
            publisher.send(sweep)
        peer.wait_for(lambda: diagnostics.value("sweeps evaluated") == "2", "running metrics")
        expected = depth_metrics(ANSWER, TRUTH)
        for name in ("abs_rel", "rmse", "delta1", "coverage"):
            assert float(diagnostics.value(name)) == pytest.approx(expected[name], rel=1e-6)
        assert diagnostics.level == 0
        assert diagnostics.message.startswith("argmax: abs_rel 0.1000")
        os.kill(process.pid, number)
        log = wait_for_end(peer, process)
    assert process.exit_code == 0, log
    assert "2 of 2 evaluated: argmax: abs_rel 0.1000" in log
    assert f"report: {tmp_path / 'out' / 'report.html'}" in log
    assert "Traceback" not in log
    for score in scores_of(tmp_path).values():
        assert {name: score["figures"][name] for name in expected} == pytest.approx(expected)
        assert (score["seconds"], score["finish_seconds"]) == pytest.approx((0.13, 0.06))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 8  # picture, truth, depth and error of both


def test_without_truth(domain: int, peer: Peer, tmp_path: Path) -> None:
    diagnostics = Diagnostics(peer, "evaluator_node")
    with publishing(peer, truths=False) as publisher, evaluator(tmp_path) as process:
        publisher.wait_until_heard()
        publisher.send(1)
        peer.wait_for(lambda: diagnostics.message == "no sweep evaluated yet", "its state")
        peer.spin(0.5)
        process.stop()
        log = wait_for_end(peer, process)
    assert process.exit_code == 1
    assert "sweep_0001: no ground truth came on /ground_truth/depth" in log
    assert "no ground truth came" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_messages_of_no_use_are_named(domain: int, peer: Peer, tmp_path: Path) -> None:
    cut = float_image_message(ANSWER, Header())
    cut.height += 1
    diagnostics = Diagnostics(peer, "evaluator_node")
    with publishing(peer) as publisher, evaluator(tmp_path) as process:
        publisher.wait_until_heard()
        publisher.send(1, cut)
        publisher.send(2, rgb_image_message(np.zeros((*SIZE, 3), np.uint8), Header()))
        publisher.send(3, ANSWER[:24])
        publisher.send(4, without="confidence/image")
        publisher.send(5, fallback_reason="backend 'argmax' failed: lost", backend="graph_cut")
        publisher.send(7, dropped_reasons=["sweep outrun"], dropped_counts=[1])
        peer.wait_for(lambda: diagnostics.value("sweeps evaluated") == "1", "the good one")
        peer.wait_for(lambda: diagnostics.value("sweeps left out") == "5", "the bad ones")
        assert diagnostics.level == 1
        process.stop()
        log = wait_for_end(peer, process)
    assert process.exit_code == 1
    assert "Traceback" not in log
    errors = {scene: score["error"] for scene, score in scores_of(tmp_path).items()}
    assert errors.pop("sweep_0007") == ""
    for scene, words in {
        "sweep_0001": "has 12288 bytes; 49 rows of 256 bytes",
        "sweep_0002": "depth on depth/image is 'rgb8'; it must be 32FC1",
        "sweep_0003": "confidence/image is of shape (48, 64) and depth/image of (24, 64)",
        "sweep_0004": "no confidence/image came of it",
        "sweep_0005": "this answer is that of 'graph_cut': backend 'argmax' failed: lost",
        "sweep_0006": "it was not answered by depth_node: sweep outrun (1)",
    }.items():
        assert words in errors.pop(scene)
    assert errors == {}


def test_ends_with_the_camera(domain: int, peer: Peer, tmp_path: Path) -> None:
    with (
        publishing(peer) as publisher,
        evaluator(tmp_path, patience=1.0, backend="argmax") as process,
    ):
        publisher.wait_until_heard()
        publisher.send(1)
        peer.spin(0.5)
        publisher.close()
        log = wait_for_end(peer, process)
    assert process.exit_code == 0, log
    assert "the camera has ended" in log
    assert "/depth_node says nothing any more" in log  # for there is none
    assert list(scores_of(tmp_path)) == ["sweep_0001"]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"output": "used"}, "used, which has the scores of an evaluation; choose another folder"),
        ({"output": "file/out"}, "parameter 'output' is "),
        ({"depth_tolerance": -1.0}, "parameter 'depth_tolerance' is -1.0; it must be in"),
    ],
)
def test_parameters_of_no_use(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], parameters: dict[str, Any], words: str
) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "scores.jsonl").touch()
    (tmp_path / "file").touch()
    given = {**parameters, "output": str(tmp_path / parameters.get("output", "out"))}
    assert words in refusal(main, given, capfd)
