"""The command ``focdepth``: one module per subcommand, and here what they share.

What a command does is in the modules that it imports when it runs: nothing heavy is imported
for ``--help``. Options are written as default values and `Optional`, which every Typer since
that of Ubuntu 22.04 understands.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import typer

import focdepth_ros
from focdepth_ros.cli.backends import backends
from focdepth_ros.cli.bag import bag
from focdepth_ros.cli.benchmark import benchmark
from focdepth_ros.cli.calibrate import calibrate
from focdepth_ros.cli.datasets import datasets
from focdepth_ros.cli.estimate import estimate
from focdepth_ros.cli.evaluate import evaluate
from focdepth_ros.cli.export import export
from focdepth_ros.cli.fuse import fuse
from focdepth_ros.cli.pool import pool
from focdepth_ros.cli.simulate import simulate
from focdepth_ros.cli.train import train
from focdepth_ros.cli.view import view
from focdepth_ros.cli.web import web
from focdepth_ros.cli.weights import weights
from focdepth_ros.errors import FocdepthError, os_error_text

_BAD_INPUT = 2
_INTERRUPTED = 130

# The error for arguments that cannot be parsed. Depending on its version Typer takes it from
# Click or has its own; the parent of the one that it exports is it in both cases.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]

_app = typer.Typer(add_completion=False)
for _command in (
    estimate, fuse, web, view, backends, datasets, simulate, evaluate, benchmark, pool, train,
    export,
):  # fmt: skip
    _app.command()(_command)
_app.add_typer(bag, name="bag")
_app.add_typer(calibrate, name="calibrate")
_app.add_typer(weights, name="weights")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``focdepth``.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.

    Returns
    -------
    int
        Exit status: 0, or 2 for input that cannot be used, after one line that says why.
    """
    # Lines of OpenCV's own about a bad image would drown the one that names the file.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    command = typer.main.get_command(_app)
    args = None if arguments is None else list(arguments)
    try:
        return int(command.main(args, "focdepth", standalone_mode=False) or 0)
    except typer.Abort:
        return _fail("interrupted", _INTERRUPTED)
    except _UsageError as error:
        return _fail(_usage_line(error))
    except FocdepthError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(os_error_text(error))


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"focdepth {focdepth_ros.__version__}")
        raise typer.Exit


@_app.callback(invoke_without_command=True)
def _focdepth(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Metric depth from one ordinary camera whose focus moves."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _usage_line(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    command = "focdepth" if context is None else context.command_path
    message = str(error.format_message())  # type: ignore[attr-defined]
    told = " ".join(message.split()).rstrip(".")
    return f"{told}{'' if told.endswith('?') else ';'} see `{command} --help`"


def _fail(message: str, status: int = _BAD_INPUT) -> int:
    typer.echo(f"error: {message}", err=True)
    return status
