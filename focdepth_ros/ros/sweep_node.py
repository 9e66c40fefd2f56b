"""The node that sweeps the focus of a camera through its ROS driver and says what it did.

One thread does everything: `FocusSweeper.work` is an async function that goes on a step at a time
whenever a frame, an answer of the driver or a timer comes.
"""

from __future__ import annotations

if __name__ == "__main__":
    from focdepth_ros.ros.early_signals import end_at_once_on_signals

    end_at_once_on_signals()

import math
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.task import Future
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from focdepth_ros.errors import DriverError, OptionError
from focdepth_ros.lens.driver_table import DriverTable, read_driver_table
from focdepth_ros.lens.focus_schedule import metres_of
from focdepth_ros.lens.lens_map import read_lens_map
from focdepth_ros.lens.settling import Settling
from focdepth_ros.msg import FocusState
from focdepth_ros.ros.conversions import time_message
from focdepth_ros.ros.node_support.health import Level, NodeHealth
from focdepth_ros.ros.node_support.node_runner import log_at, run_node
from focdepth_ros.ros.node_support.qos_events import overridable
from focdepth_ros.ros.node_support.self_report import StatusPublisher, report_unforeseen
from focdepth_ros.ros.parameters.sweep import SweepNodeParameters
from focdepth_ros.ros.params import (
    changed_parameters,
    declare_parameters,
    warn_of_unknown_parameters,
)
from focdepth_ros.ros.shared_files import config_folder
from focdepth_ros.ros.sweep_node_parts.focus_driver import FocusDriver
from focdepth_ros.ros.sweep_node_parts.focus_sweeper import FocusSweeper, SweepAnswer
from focdepth_ros.ros.sweep_node_parts.frame_source import FrameSource, SeenFrame
from focdepth_ros.ros.sweep_node_parts.parameter_client import ParameterClient
from focdepth_ros.ros.sweep_node_parts.stepping import Routine

_TICK = 0.05  # seconds; frames and answers wake the work at once
_OLDEST_STAMP = 1.0  # seconds; a stamp that is older, or not yet, is of another clock


class SweepNode:
    """Moves the lens, waits until it stands, and publishes the focus state of every frame.

    Parameters
    ----------
    node : Node

    Raises
    ------
    FocdepthError
        If a parameter is out of range, or the driver table or the lens map cannot be used.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self._health = NodeHealth(self._log)
        self._parameters = parameters = declare_parameters(node, SweepNodeParameters)
        warn_of_unknown_parameters(node)
        self._table = table = read_driver_table(
            parameters.driver, config_folder() / "drivers", parameters.parameter_prefix
        )
        self._lens_map = read_lens_map(parameters.lens_map) if parameters.lens_map else None
        if self._lens_map is None and not table.is_dioptre:
            self._health.condition(
                "lens map",
                f"lens positions of the driver '{parameters.driver}' are {table.unit} and there is "
                "no lens_map, so focus distances are not known and no depth can come of the "
                "sweeps, only all-in-focus images; measure one with `focdepth calibrate lens`, "
                "and give it as lens_map",
            )
        self._settling = Settling(
            table.tolerance,
            frames_tell=_frame_topic(parameters, table) == "diagnostics",
            settle_time=_given(parameters.settle_time, table.settle_time),
            settle_frames=int(_given(parameters.settle_frames, table.settle_frames)),
        )
        self._frame_count = 0
        self._frame_values: Mapping[str, str] = {}
        self._frame_id = ""
        self._is_closing = False

        self._states = node.create_publisher(
            FocusState, "focus_state", QoSProfile(depth=20), qos_overriding_options=overridable()
        )
        self._status = StatusPublisher(node, self._health, "focus sweep")
        self._frames = FrameSource(
            node,
            _frame_topic(parameters, table),
            key=table.frame_position,
            hardware_id=parameters.hardware_id,
            health=self._health,
            on_frame=self._on_frame,
        )
        self._driver_name = target = _full_name(node, parameters.driver_node or table.node)
        self._driver = FocusDriver(
            table,
            ParameterClient(node, target, parameters.response_timeout, self._step),
            self._lens_map,
            lambda: self._frame_count,
            lambda: self._frame_values,
        )
        self._sweeper = FocusSweeper(
            table, self._driver, self._settling, self._health, parameters, self._frames.name
        )
        self._routine = Routine(self._sweeper.work())
        # A request waits in its callback for the sweep; in the group of the others it would keep
        # them from being called.
        apart = ReentrantCallbackGroup()
        node.create_service(Trigger, "~/sweep", self._on_request, callback_group=apart)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(_TICK, self._step, clock=steady)
        node.create_timer(parameters.diagnostics_period, self._report, clock=steady)
        node.add_on_set_parameters_callback(self._on_parameters)
        node.get_logger().info(
            f"focus of {target} by the table '{parameters.driver}', frames from "
            f"{self._frames.name}, mode {parameters.mode}"
        )

    def close(self) -> None:
        """Give the camera its own settings back, if the driver answers in time."""
        self._is_closing = True
        self._routine.close()
        self._settling.rest()
        self._routine = Routine(self._driver.give_back())
        executor = SingleThreadedExecutor(context=self.node.context)
        executor.add_node(self.node)
        end = time.monotonic() + self._parameters.release_timeout
        try:
            self._routine.step()
            while not self._routine.is_done and time.monotonic() < end:
                executor.spin_once(timeout_sec=_TICK)
        except DriverError as error:
            self.node.get_logger().warning(f"the camera keeps the settings of the sweep: {error}")
        else:
            if not self._routine.is_done:
                self.node.get_logger().warning(
                    f"the camera keeps the settings of the sweep: {self._driver_name} has not "
                    f"answered within {self._parameters.release_timeout:g} s"
                )
        finally:
            executor.shutdown()

    def complain(self, error: Exception) -> None:
        """Report an error that nobody has foreseen; the node goes on."""
        report_unforeseen(self.node, self._health, error)

    def _on_frame(self, frame: SeenFrame) -> None:
        now = time.monotonic()
        self._health.count("frames received")
        self._sweeper.note_frame(now)
        self._frame_count += 1
        self._frame_values, self._frame_id = frame.values, frame.frame_id
        position = _number(frame.values.get(self._table.frame_position, ""))
        focus = self._settling.frame(self._exposed(frame.stamp, now), position)
        distance = self._distance(focus.position)
        self._states.publish(
            FocusState(
                header=Header(stamp=time_message(frame.stamp), frame_id=frame.frame_id),
                focus_distance=distance,
                lens_position=focus.position,
                lens_position_unit="" if math.isnan(focus.position) else self._table.unit,
                settled=focus.settled,
                sweep_id=focus.sweep_id,
                sweep_step=focus.sweep_step,
                sweep_size=focus.sweep_size,
            )
        )
        self._step()

    def _exposed(self, stamp: int, now: float) -> float:
        """When a frame was exposed, in monotonic seconds: by its stamp if that can be believed."""
        age = (self.node.get_clock().now().nanoseconds - stamp) * 1e-9
        return now - age if 0.0 <= age <= _OLDEST_STAMP else now

    def _distance(self, position: float) -> float:
        if math.isnan(position):
            return math.nan
        if self._lens_map is not None:
            return metres_of(float(self._lens_map.to_dioptres(position)))
        return metres_of(max(position, 0.0)) if self._table.is_dioptre else math.nan

    async def _on_request(self, _: Any, response: Trigger.Response) -> Trigger.Response:
        if self._is_closing or self._parameters.mode == "paused":
            response.success = False
            response.message = (
                "the node is ending"
                if self._is_closing
                else "the mode is paused; set the parameter mode to on_demand"
            )
            return response
        future = Future()
        self._sweeper.request(future.set_result)
        self._step()
        answer: SweepAnswer = await future
        response.success, response.message = answer.success, answer.message
        return response

    def _on_parameters(self, changes: Sequence[Parameter]) -> SetParametersResult:
        try:
            parameters = changed_parameters(
                self._parameters, {change.name: change.value for change in changes}
            )
        except OptionError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._parameters = self._sweeper.parameters = parameters
        if parameters.mode == "paused":
            self._sweeper.refuse_requests("the mode was set to paused")
        return SetParametersResult(successful=True)

    def _step(self) -> None:
        try:
            self._routine.step()
        except DriverError:
            raise
        except Exception as error:
            self.complain(error)
            self._sweeper.refuse_requests(f"internal error: {error}")
            self._settling.rest()
            if not self._is_closing:
                self._routine = Routine(self._sweeper.work())

    def _report(self) -> None:
        self._frames.recheck()
        values = {
            "mode": self._parameters.mode,
            "stage": self._sweeper.stage,
            "driver": self._driver_name,
            "driver is there": str(self._driver.is_there).lower(),
            "locked": ", ".join(self._driver.locked),
            "requests waiting": str(self._sweeper.requests_waiting),
        }
        for name, value in values.items():
            self._health.set_value(name, value)
        self._status.publish(
            f"{self._parameters.mode}: {self._sweeper.stage}", hardware_id=self._frame_id
        )

    def _log(self, level: Level, text: str) -> None:
        log_at(level, self.node.get_logger(), text)


def _full_name(node: Node, name: str) -> str:
    try:
        return str(node.resolve_service_name(name))
    except RuntimeError as error:
        raise OptionError(f"'{name}' cannot be a node, set driver_node: {error}") from error


def _frame_topic(parameters: SweepNodeParameters, table: DriverTable) -> str:
    if parameters.frames == "diagnostics" and not table.frame_position:
        raise OptionError(
            f"parameter 'frames' is 'diagnostics', but the driver '{parameters.driver}' tells "
            "nothing of frames there; set it to camera_info, image or compressed"
        )
    if parameters.frames != "auto":
        return parameters.frames
    return "diagnostics" if table.frame_position else "camera_info"


def _given(value: float, default: float) -> float:
    return default if value < 0.0 else value


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def main(args: Sequence[str] | None = None) -> int:
    """Run `sweep_node` until it is interrupted; the exit code is returned."""
    return run_node("sweep_node", SweepNode, args)


if __name__ == "__main__":
    sys.exit(main())
