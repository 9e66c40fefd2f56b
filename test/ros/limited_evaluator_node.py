"""`evaluator_node` on a disk with little room: no file may have more bytes than FILE_BYTES."""

from __future__ import annotations

import os
import resource
import signal
import sys

from rclpy.node import Node

from focdepth_ros.ros.evaluator_node import EvaluatorNode
from focdepth_ros.ros.node_support.node_runner import run_node


def limited_evaluator(node: Node) -> EvaluatorNode:
    evaluator = EvaluatorNode(node)
    # Only now: the shared memory of the middleware is made of files, too.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["FILE_BYTES"]), hard))
    return evaluator


if __name__ == "__main__":
    sys.exit(run_node("evaluator_node", limited_evaluator))
