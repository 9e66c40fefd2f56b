"""What is shown: an estimate and what is known of it, written to Rerun's recording.

All of it is stamped on the time line ``stamp``. Without a stamp it holds for all times.

- ``camera/depth/values``: metres, NaN where not known; ``camera/depth/colours``
- ``camera/confidence``, ``camera/all_in_focus``
- ``camera``: the pinhole model
- ``cloud``: points in the optical frame of the camera, metres
- ``figures/*``: plotted over time
- ``sweep``: facts; ``log``: lines of text
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import ViewerError
from focdepth_ros.pictures.depth_pictures import colour_depth
from focdepth_ros.stack import CameraIntrinsics, FloatImage, ImageArray
from focdepth_ros.viewer.layout import layout

TIME_LINE = "stamp"
_MARKUP = re.compile(r"[\\`*_{}\[\]<>#|]")
_APPLICATION = "focdepth"
_PATIENCE = 5.0  # seconds for data on its way
_POINT_RADIUS = -1.5  # negative: in pixels of the screen


class ViewerRecording:
    """A recording that goes to a file, to viewers, or to both.

    Whoever writes to it waits until the data is out, so that nothing piles up here.

    Parameters
    ----------
    file : str or Path, optional
    urls : sequence of str
        Of viewers that run.
    over_time : bool
        Whether there are figures to be plotted, and a log.
    """

    def __init__(
        self, *, file: str | Path | None, urls: Sequence[str] = (), over_time: bool = True
    ) -> None:
        import rerun

        self._rerun: Any = rerun
        self._stream = rerun.RecordingStream(_APPLICATION)
        sinks: list[Any] = [rerun.GrpcSink(url) for url in urls]
        if file is not None:
            sinks.append(rerun.FileSink(str(file)))
        self._stream.set_sinks(*sinks, default_blueprint=layout(over_time))
        # x right, y down, z forward: the optical frame.
        self._stream.log("/", rerun.ViewCoordinates.RDF, static=True)

    def show_depth(
        self, depth: FloatImage, stamp: int | None = None, *, metric: bool = True
    ) -> None:
        """Depth (H, W) in metres, or slice indices if not `metric`; NaN where not known."""
        self._write("camera/depth/values", self._rerun.DepthImage(depth, meter=1.0), stamp)
        # Rerun's own colours show what is not known as if it were far.
        picture = colour_depth(depth, metric=metric)
        self._write("camera/depth/colours", self._rerun.Image(picture, opacity=1.0), stamp)

    def show_confidence(self, confidence: FloatImage, stamp: int | None = None) -> None:
        """Confidence (H, W) in [0, 1]."""
        image = self._rerun.DepthImage(
            confidence, colormap="viridis", depth_range=(0.0, 1.0), meter=1.0
        )
        self._write("camera/confidence", image, stamp)

    def show_all_in_focus(self, image: ImageArray, stamp: int | None = None) -> None:
        """The sharp image, (H, W, 3) RGB or (H, W)."""
        self._write("camera/all_in_focus", self._rerun.Image(image), stamp)

    def show_camera(self, intrinsics: CameraIntrinsics, stamp: int | None = None) -> None:
        """The pinhole model; lens distortion is in the points already."""
        pinhole = self._rerun.Pinhole(
            focal_length=(intrinsics.fx, intrinsics.fy),
            principal_point=(intrinsics.cx, intrinsics.cy),
            resolution=(intrinsics.width, intrinsics.height),
            camera_xyz=self._rerun.ViewCoordinates.RDF,
            image_plane_distance=0.2,
        )
        self._write("camera", pinhole, stamp)

    def show_cloud(
        self,
        points: NDArray[np.float32],
        colours: NDArray[np.generic],
        stamp: int | None = None,
    ) -> None:
        """Points (..., 3) in metres and colours (..., 3) RGB; what is not finite is left out."""
        known = np.isfinite(points).all(axis=-1)
        cloud = self._rerun.Points3D(points[known], colors=colours[known], radii=_POINT_RADIUS)
        self._write("cloud", cloud, stamp)

    def show_figures(self, figures: Mapping[str, float], stamp: int) -> None:
        """Numbers to be plotted by name; those that are NaN are left out."""
        self._at(stamp)
        for name, value in figures.items():
            if not math.isnan(value):
                self._stream.log(f"figures/{name}", self._rerun.Scalars(value))

    def show_facts(self, title: str, facts: Mapping[str, object], stamp: int | None = None) -> None:
        """Names and values under a title."""
        rows = [f"- {_plain(name)}: {_plain(value)}" for name, value in facts.items()]
        text = "\n".join([f"**{_plain(title)}**", "", *rows])
        document = self._rerun.TextDocument(text, media_type="text/markdown")
        self._write("sweep", document, stamp)

    def show_line(self, text: str, level: str, stamp: int) -> None:
        """A line for the log; `level` is INFO, WARN or ERROR."""
        self._write("log", self._rerun.TextLog(text, level=level), stamp)

    def flush(self) -> None:
        """Let what is on its way arrive.

        Raises
        ------
        ViewerError
            If nobody takes it.
        """
        try:
            self._stream.flush(timeout_sec=_PATIENCE)
        except Exception as error:  # of a class of its own in each release
            raise ViewerError(
                f"the viewer has taken nothing for {_PATIENCE:.0f} s; a page on a computer without "
                f"a GPU is slow, close it ({error})"
            ) from error

    def close(self) -> None:
        """Write to it no more."""
        # It would wait for ever where what it writes to does not take it.
        closing = threading.Thread(target=self._stream.disconnect, daemon=True)
        closing.start()
        closing.join(_PATIENCE)
        if closing.is_alive():  # and so would the end of the program
            self._rerun.unregister_shutdown()

    def _write(self, place: str, content: Any, stamp: int | None) -> None:
        if stamp is not None:
            self._at(stamp)
        self._stream.log(place, content, static=stamp is None)
        self.flush()

    def _at(self, stamp: int) -> None:
        self._stream.set_time(TIME_LINE, timestamp=np.datetime64(stamp, "ns"))


def _plain(value: object) -> str:
    """A text in one line, in which Markdown finds nothing to mark up."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(str(value).split()))
