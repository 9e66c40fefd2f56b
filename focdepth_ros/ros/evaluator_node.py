"""Measures what `depth_node` publishes against a ground truth, and writes a report at the end."""

from __future__ import annotations

if __name__ == "__main__":
    from focdepth_ros.ros.early_signals import end_at_once_on_signals

    end_at_once_on_signals()

import math
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image

from focdepth_ros.datasets.bag_sweeps import LEFT_OUT, sweep_name
from focdepth_ros.errors import EvaluationError, FocdepthError, MessageError, OptionError
from focdepth_ros.evaluation.score_file import SCORES, ScoreFile
from focdepth_ros.evaluation.summary import summarise
from focdepth_ros.evaluation.sweep_ledger import SweepLedger
from focdepth_ros.libraries import REPORT_LIBRARIES, missing_because
from focdepth_ros.messages.depth_decoding import depth_image
from focdepth_ros.messages.reading import stamp_of
from focdepth_ros.ros.listening.answer_collector import (
    ALL_IN_FOCUS,
    DEPTH,
    KINDS,
    AnswerCollector,
    CollectedAnswer,
)
from focdepth_ros.ros.listening.depth_node_watch import DepthNodeWatch
from focdepth_ros.ros.node_support.health import Level, NodeHealth
from focdepth_ros.ros.node_support.node_runner import NodeFinished, log_at, run_node
from focdepth_ros.ros.node_support.self_report import StatusPublisher, report_unforeseen
from focdepth_ros.ros.parameters.evaluator import EvaluatorParameters
from focdepth_ros.ros.params import declare_parameters, warn_of_unknown_parameters

_TRUTH = "ground_truth/depth"
_FOCUS = "focus_state"
_QUEUE = 50  # messages that wait while a sweep is scored
_POLL_PERIOD = 0.1  # seconds
# Seconds after the last focus state in which depth_node takes in what it was sent.
_SETTLING = 1.0
_SHOWN = ("abs_rel", "rmse", "delta1", "coverage")
_LEFT_OUT = 1


class EvaluatorNode:
    """Scores the answers of `depth_node` as `focdepth bag eval` does.

    Parameters
    ----------
    node : Node

    Raises
    ------
    FocdepthError
        If a parameter is out of range, there are results in the folder, or no report can be
        written.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self._health = NodeHealth(self._log)
        self._parameters = parameters = declare_parameters(node, EvaluatorParameters)
        warn_of_unknown_parameters(node)
        self._truth_topic = str(node.resolve_topic_name(_TRUTH))
        self._focus_topic = str(node.resolve_topic_name(_FOCUS))
        self._evaluation = self._open_evaluation()
        topics = [t for t in KINDS if parameters.pictures or t != ALL_IN_FOCUS]
        self._answers = AnswerCollector(topics)
        self._ledger = SweepLedger()
        self._watch = DepthNodeWatch(node, parameters.depth_node)
        for topic in topics:
            callback = partial(self._on_answer, topic)
            node.create_subscription(KINDS[topic], topic, callback, QoSProfile(depth=_QUEUE))
        self._truths: Any = None
        self._is_finished = False
        self._camera_seen = False
        self._camera_gone: float | None = None
        self._status = StatusPublisher(node, self._health, "evaluation")
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(_POLL_PERIOD, self._poll, clock=steady)
        node.create_timer(parameters.diagnostics_period, self._report, clock=steady)
        node.get_logger().info(
            f"evaluating {self._watch.name} against {self._truth_topic}; results go to "
            f"{Path(parameters.output).absolute()}"
        )

    def close(self) -> int:
        """Write the report; 1 if something could not be measured."""
        self._take_answers(None)
        # Of a run that was interrupted, the sweeps after the last answer were still under way.
        received = self._watch.sweeps_received if self._is_finished else 0
        for number, why in self._ledger.unanswered(received):
            self._evaluation.leave_out(sweep_name(number), why)
        frames = self._ledger.left_out()
        if frames:
            self._evaluation.leave_out(LEFT_OUT, f"frames and sweeps left out: {frames}")
        logger = self.node.get_logger()
        try:
            report = self._evaluation.finish("Live: depth against the truth", self._about())
        except (FocdepthError, OSError) as error:
            logger.error(f"no report: {error}")
            return _LEFT_OUT
        scores = self._evaluation.scores
        failed = [score for score in scores if score.error]
        for score in failed:
            logger.warning(f"not evaluated: {score.scene}: {score.error}")
        logger.info(f"{len(scores) - len(failed)} of {len(scores)} evaluated: {self._means()}")
        logger.info(f"report: {report.absolute()}")
        return _LEFT_OUT if failed else 0

    def complain(self, error: Exception) -> None:
        """Report an error that nobody has foreseen; the node goes on."""
        report_unforeseen(self.node, self._health, error)

    def _open_evaluation(self) -> Any:
        missing = missing_because(REPORT_LIBRARIES, "evaluation")
        if missing is not None:
            raise EvaluationError(f"no report can be written here: {missing}")
        from focdepth_ros.evaluation.live_evaluation import LiveEvaluation

        parameters = self._parameters
        folder = Path(parameters.output)
        if (folder / SCORES).exists():
            raise OptionError(
                f"parameter 'output' is {folder}, which has the scores of an evaluation; choose "
                "another folder"
            )
        try:
            file = ScoreFile(folder, self._settings(), resume=False)
        except OSError as error:
            raise OptionError(f"parameter 'output' is {folder}: {error}") from error
        return LiveEvaluation(
            file,
            self._truth_topic,
            tolerance=parameters.depth_tolerance,
            truths_kept=parameters.truths_kept,
            backend=parameters.asked_backend,
            same_grid=parameters.same_grid,
            pictures=parameters.pictures,
            not_written=self._on_not_written,
        )

    def _on_not_written(self, error: OSError) -> None:
        self._health.problem(
            "not written",
            f"{error}; make room on the disk: scores are kept in memory until they can be written",
            Level.ERROR,
        )

    def _settings(self) -> dict[str, Any]:
        return {
            "dataset": self._parameters.title or "live",
            "truth": self._truth_topic,
            "depth_tolerance": self._parameters.depth_tolerance,
        }

    def _about(self) -> dict[str, Any]:
        node = self._watch.name.lstrip("/")
        settings = {f"{node} {name}": value for name, value in self._watch.settings.items()}
        return {**self._settings(), **settings}

    def _on_answer(self, topic: str, message: Any) -> None:
        try:
            self._answers.add(topic, message, time.monotonic())
        except MessageError as error:
            self._health.problem(error.reason, f"on {topic}: {error}")

    def _on_truth(self, message: Image) -> None:
        self._health.count("ground truths received")
        decode = partial(depth_image, message, self._truth_topic)
        try:
            stamp = stamp_of(message.header)
        except MessageError as error:
            self._health.problem(error.reason, f"on {self._truth_topic}: {error}")
            return
        frame_id = message.header.frame_id
        self._evaluation.add_truth(stamp, time.monotonic_ns(), decode, frame_id)

    def _poll(self) -> None:
        self._watch.poll()
        if self._watch.heard is not None:
            self._ledger.begin(self._watch.sweeps_received)
        self._subscribe_to_truths()
        self._take_answers(time.monotonic())
        if self._parameters.finish_with_camera and self._is_over():
            self._is_finished = True
            raise NodeFinished

    def _subscribe_to_truths(self) -> None:
        """As soon as somebody publishes them, with as much as is offered: none must be lost."""
        offers = [] if self._truths else self.node.get_publishers_info_by_topic(_TRUTH)
        if not offers:
            return
        profiles = [offer.qos_profile for offer in offers]
        reliable, latched = QoSReliabilityPolicy.RELIABLE, QoSDurabilityPolicy.TRANSIENT_LOCAL
        is_reliable = all(profile.reliability == reliable for profile in profiles)
        is_latched = all(profile.durability == latched for profile in profiles)
        qos = QoSProfile(
            depth=_QUEUE,
            reliability=reliable if is_reliable else QoSReliabilityPolicy.BEST_EFFORT,
            durability=latched if is_latched else QoSDurabilityPolicy.VOLATILE,
        )
        self._truths = self.node.create_subscription(Image, _TRUTH, self._on_truth, qos)

    def _take_answers(self, now: float | None) -> None:
        """Score what is there; at the time None, which is the end, also what is not whole."""
        before = len(self._evaluation.scores)
        for answer in self._answers.take(now):
            self._take(answer)
        self._evaluation.settle(None if now is None else time.monotonic_ns())
        for score in self._evaluation.scores[before:]:
            if score.error:
                self._health.problem("not evaluated", f"{score.scene}: {score.error}")
            else:
                self._log(Level.OK, f"{score.scene}: {_words(score.figures)}")

    def _take(self, answer: CollectedAnswer) -> None:
        from focdepth_ros.evaluation.live_evaluation import LiveAnswer

        info = answer.info
        if info is None:
            missing = ", ".join(answer.messages)
            self._health.problem("no sweep_info", f"only {missing} of stamp {answer.stamp} ns came")
            return
        dropped = dict(zip(info.dropped_reasons, info.dropped_counts, strict=False))
        scene = sweep_name(self._ledger.enter(info.sequence, dropped))
        try:
            estimate = answer.estimate()
        except MessageError as error:
            self._evaluation.leave_out(scene, str(error))
            return
        slices = len(info.stamps)
        self._evaluation.add_answer(
            LiveAnswer(
                scene=scene,
                stamp=answer.stamp,
                received=time.monotonic_ns(),
                estimate=estimate,
                slices=slices,
                seconds=slices * info.time_per_slice + info.time_finish,
                finish_seconds=info.latency_after_last_frame,
                fallback_reason=info.fallback_reason,
                frame_id=answer.messages[DEPTH].header.frame_id,
            )
        )

    def _is_over(self) -> bool:
        """Whether the camera is gone, and no answer is to come any more."""
        now = time.monotonic()
        if self.node.count_publishers(self._focus_topic):
            self._camera_seen, self._camera_gone = True, None
            return False
        if not self._camera_seen:
            return False
        if self._camera_gone is None:
            self._camera_gone = now
            self.node.get_logger().info("the camera has ended; waiting for the last answers")
        if len(self._answers):
            return False
        heard = self._watch.heard or self._camera_gone
        if now - max(heard, self._camera_gone) > self._parameters.patience:
            self._log(Level.WARN, f"{self._watch.name} says nothing any more")
            return True
        return heard > self._camera_gone + _SETTLING and not self._watch.sweeps_under_way

    def _report(self) -> None:
        for score in self._evaluation.scores[-1:]:
            self._health.set_value("last sweep", score.scene)
        for summary in summarise(self._evaluation.scores):
            self._health.set_value("sweeps evaluated", str(summary.scenes))
            self._health.set_value("sweeps left out", str(summary.failed))
            for name, value in summary.figures.items():
                if not math.isnan(value):
                    self._health.set_value(name, f"{value:.9g}")
        self._status.publish(self._means() or "no sweep evaluated yet")

    def _means(self) -> str:
        summaries = summarise(self._evaluation.scores)
        return "; ".join(f"{item.backend}: {_words(item.figures)}" for item in summaries)

    def _log(self, level: Level, text: str) -> None:
        log_at(level, self.node.get_logger(), text)


def _words(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {figures[name]:.4f}" for name in _SHOWN)


def main(args: Sequence[str] | None = None) -> int:
    """Run `evaluator_node` until there is nothing left to evaluate; the exit code is returned."""
    return run_node("evaluator_node", EvaluatorNode, args)


if __name__ == "__main__":
    sys.exit(main())
