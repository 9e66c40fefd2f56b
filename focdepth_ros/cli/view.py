"""``focdepth view``: depth, confidence and cloud in a browser, live or from files."""

# ruff: noqa: B008, UP045

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from focdepth_ros.cli.progress import progress
from focdepth_ros.defaults import (
    DEFAULT_HOST,
    DEFAULT_MIN_CONFIDENCE,
    DEFAULT_VIEW_DATA_PORT,
    DEFAULT_VIEW_MEMORY_MB,
    DEFAULT_VIEW_PORT,
)

if TYPE_CHECKING:
    from focdepth_ros.viewer.recording import ViewerRecording
    from focdepth_ros.viewer.server import PageServer
    from focdepth_ros.viewer.target import ViewerTarget

_LEFT_OUT = 1
_BAG_SUFFIXES = (".db3", ".mcap")


def view(
    source: Optional[Path] = typer.Argument(
        None,
        metavar="RESULTS|BAG",
        help="Folder that `focdepth estimate` has written, or a bag; without it, what depth_node "
        "publishes.",
        show_default=False,
    ),
    namespace: str = typer.Option(
        "", "--namespace", "-n", help="Of the running depth_node.", show_default="none"
    ),
    host: str = typer.Option(
        DEFAULT_HOST,
        help="Address to serve the page on; 0.0.0.0 opens it to all who can reach this machine.",
    ),
    port: int = typer.Option(DEFAULT_VIEW_PORT, min=1, max=65535, help="Of the page."),
    data_port: int = typer.Option(
        DEFAULT_VIEW_DATA_PORT, min=1, max=65535, help="Of the data that the page fetches."
    ),
    memory_mb: int = typer.Option(
        DEFAULT_VIEW_MEMORY_MB,
        min=16,
        max=65536,
        help="Megabytes kept for pages that are opened later.",
    ),
    save: Optional[Path] = typer.Option(
        None, metavar="FILE.rrd", help="Record it to a file instead of showing a page."
    ),
    connect: str = typer.Option(
        "",
        metavar="HOST:PORT",
        help="Show it in a running Rerun viewer instead of on a page.",
        show_default=False,
    ),
    backend: str = typer.Option("auto", "--backend", "-b", help="For a bag."),
    min_confidence: float = typer.Option(
        DEFAULT_MIN_CONFIDENCE, min=0.0, max=1.0, help="For a bag."
    ),
) -> None:
    """Show depth, confidence, all-in-focus image and cloud in a browser.

    Without RESULTS or BAG it listens to the topics of a running depth_node,
    with its latencies and diagnostics. Ctrl-C ends it.
    """
    from focdepth_ros.viewer.target import ViewerTarget

    target = ViewerTarget(host, port, data_port, memory_mb, str(save or ""), connect)
    if source is None:
        _run_node(target, namespace)
    elif namespace:
        raise typer.BadParameter("--namespace is of a running depth_node, not of files")
    else:
        _show_files(source, target, backend, min_confidence)


def _run_node(target: ViewerTarget, namespace: str) -> None:
    """Become the node that shows it: the command line itself knows no ROS."""
    import json
    import os
    import sys
    from dataclasses import asdict

    from focdepth_ros.errors import OptionError
    from focdepth_ros.libraries import missing_because

    missing = missing_because(("rclpy", "sensor_msgs"), "ros")
    if missing is not None:
        raise OptionError(
            f"the topics cannot be subscribed to: {missing}, or source an installed ROS 2; "
            "results and bags can be viewed without"
        )
    arguments = ["--ros-args"]
    for name, value in asdict(target).items():
        arguments += ["-p", f"{name}:={json.dumps(value)}"]
    if namespace:
        arguments += ["-r", f"__ns:=/{namespace.strip('/')}"]
    sys.stdout.flush()
    module = "focdepth_ros.ros.view_node"
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])


def _show_files(source: Path, target: ViewerTarget, backend: str, min_confidence: float) -> None:
    from focdepth_ros.errors import OptionError
    from focdepth_ros.processes import interrupted_by_signals
    from focdepth_ros.viewer.results_folder import is_results_folder, show_results
    from focdepth_ros.viewer.target import open_viewer

    is_bag = source.suffix in _BAG_SUFFIXES or (source / "metadata.yaml").is_file()
    if not is_bag and not is_results_folder(source):
        lack = "no results and no bag" if source.exists() else "no such folder"
        raise OptionError(
            f"{source}: {lack}; give a folder that `focdepth estimate` has written, or a bag"
        )
    left_out: list[str] = []
    # What serves the page ends with this.
    with interrupted_by_signals(), open_viewer(target, over_time=is_bag) as viewer:
        if is_bag:
            left_out = _show_bag(source, viewer.recording, backend, min_confidence)
        else:
            show_results(source, viewer.recording)
        typer.echo(viewer.place)
        for line in left_out:
            typer.echo(f"left out: {line}", err=True)
        if viewer.server is not None:
            typer.echo("Ctrl-C ends it")
            _wait(viewer.server)
    if left_out:
        raise typer.Exit(_LEFT_OUT)


def _show_bag(
    source: Path, recording: ViewerRecording, backend: str, min_confidence: float
) -> list[str]:
    from focdepth_ros.backends.registry import create_backend
    from focdepth_ros.errors import BagError
    from focdepth_ros.libraries import BAG_LIBRARIES, missing_because
    from focdepth_ros.pipeline import DepthPipeline

    missing = missing_because(BAG_LIBRARIES, "bags")
    if missing is not None:
        raise BagError(f"{source} cannot be read: {missing}")
    from focdepth_ros.viewer.bag_answers import BagAnswers

    answers = BagAnswers(
        source, DepthPipeline(create_backend(backend), min_confidence=min_confidence)
    )
    with progress("Estimating depth", len(answers)) as advance:
        for _ in answers.show(recording):
            advance()
    return answers.left_out


def _wait(server: PageServer) -> None:
    """Serve until Ctrl-C, or until the program that serves has ended.

    Raises
    ------
    ViewerError
        If it has ended by itself.
    """
    import time
    from contextlib import suppress

    from focdepth_ros.errors import ViewerError

    with suppress(KeyboardInterrupt):
        while server.last_words is None:
            time.sleep(0.2)
        raise ViewerError(f"the page is not served any more: {server.last_words}")
