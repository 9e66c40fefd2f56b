"""``focdepth web``: depth from focus in a browser."""

# ruff: noqa: UP045

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Optional

import typer

from focdepth_ros.cli.parameters import image_size
from focdepth_ros.defaults import DEFAULT_HOST
from focdepth_ros.web.limits import WebLimits

_EVERYWHERE = ("0.0.0.0", "::")


def web(
    host: str = typer.Option(
        DEFAULT_HOST, help="Address to listen on; 0.0.0.0 lets everybody on the network in."
    ),
    port: Optional[int] = typer.Option(
        None,
        min=0,
        max=65535,
        help="0 for any that is free.",
        show_default="the first free one from 7860 on",
    ),
    scene_size: str = typer.Option(
        "480x360", metavar="WxH", help="Width and height of the simulated scenes."
    ),
    max_images: int = typer.Option(
        WebLimits.max_images, min=2, help="Maximum number of images in one upload."
    ),
    max_megapixels: float = typer.Option(
        WebLimits.max_megapixels, help="Maximum size of one image in megapixels."
    ),
    max_upload_mb: float = typer.Option(
        WebLimits.max_upload_mb, help="Maximum size of one upload in megabytes."
    ),
    max_unpacked_mb: float = typer.Option(
        WebLimits.max_unpacked_mb, help="Maximum size of an unpacked zip in megabytes."
    ),
    max_side: int = typer.Option(
        WebLimits.max_side,
        min=64,
        metavar="PIXELS",
        help="Scale larger images down to this longest side.",
    ),
    max_visits: int = typer.Option(
        WebLimits.max_visits, min=1, help="Maximum number of answers kept at a time."
    ),
    idle_minutes: float = typer.Option(
        WebLimits.idle_minutes,
        help="How long files and answer of a visitor are kept after the last click.",
    ),
) -> None:
    """Show depth from focus in a browser, on simulated scenes and on uploads.

    Several people can use the page at a time; stacks are worked on one after
    the other. Nothing is fetched from elsewhere, and files are removed when
    they are no longer needed. Ctrl-C ends it.
    """
    from focdepth_ros.errors import OptionError
    from focdepth_ros.libraries import WEB_LIBRARIES, missing_because

    size = image_size(scene_size, "--scene-size")
    limits = WebLimits(
        max_images=max_images,
        max_megapixels=max_megapixels,
        max_upload_mb=max_upload_mb,
        max_unpacked_mb=max_unpacked_mb,
        max_side=max_side,
        max_visits=max_visits,
        idle_minutes=idle_minutes,
    )
    missing = missing_because(WEB_LIBRARIES, "web")
    if missing:
        raise OptionError(f"the page cannot be served: {missing}")
    with tempfile.TemporaryDirectory(prefix="focdepth-web-") as folder:
        # Read when Gradio is imported: where it keeps files, and that it reports to nobody.
        os.environ["GRADIO_TEMP_DIR"] = folder
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["GRADIO_RUN_HISTORY"] = "False"
        from focdepth_ros.web.server import serve

        serve(Path(folder), host, port, limits, size, _say_where)
    typer.echo("ended")


def _say_where(host: str, port: int) -> None:
    if host in _EVERYWHERE:
        typer.echo("warning: everybody on the network can use this page", err=True)
    name = "localhost" if host in _EVERYWHERE else f"[{host}]" if ":" in host else host
    typer.echo(f"open http://{name}:{port} in a browser; Ctrl-C ends it")
