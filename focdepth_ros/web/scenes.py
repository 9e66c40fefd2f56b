"""The built-in simulated scenes of the page, with known depth."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from focdepth_ros.errors import OptionError
from focdepth_ros.simulation import RenderOptions, render_random_sweep
from focdepth_ros.stack import FloatImage, FocalStack

#: Seeds by title; all are among those that no weights were trained on and nothing was tuned to.
SCENES = {
    "Green box and a globe": 1010,
    "Spheres among pillars": 1009,
    "Railings and a bottle": 1005,
    "Corridor": 1007,
    "Boxes behind a grid": 1004,
}

_HAND_HELD = RenderOptions(shake_translation=1.5, shake_rotation=0.1, breathing=0.5, flicker=0.02)
_KEPT = 6  # rendering takes seconds, and visitors try the same ones
_kept: OrderedDict[tuple[str, bool, int, int], tuple[FocalStack, FloatImage]] = OrderedDict()
_keeping = Lock()


def render_scene(
    title: str,
    *,
    hand_held: bool = False,
    width: int = 480,
    height: int = 360,
    progress: Callable[[float], None] | None = None,
) -> tuple[FocalStack, FloatImage]:
    """A focus sweep of a built-in scene, and its true depth.

    The last few are kept.

    Parameters
    ----------
    title : str
        One of `SCENES`.
    hand_held : bool
        Whether the camera shakes and breathes, so that the slices need alignment.
    width, height : int
        Of the images in pixels.
    progress : callable, optional
        Called with the share that is rendered; what it raises ends the work.

    Returns
    -------
    stack : FocalStack
        Ten slices from 0.4 m to 4 m.
    depth : (H, W) float32
        Metres on the grid of the reference slice.

    Raises
    ------
    OptionError
        If there is no such scene.
    """
    if title not in SCENES:
        raise OptionError(f"there is no scene '{title}'; choose one of {', '.join(SCENES)}")
    key = (title, hand_held, width, height)
    with _keeping:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]

    def advance(done: int, steps: int) -> None:
        if progress is not None:
            progress(done / steps)

    simulated = render_random_sweep(
        SCENES[title],
        width=width,
        height=height,
        options=_HAND_HELD if hand_held else RenderOptions(),
        progress=advance,
    )
    rendered = simulated.stack, simulated.depth
    with _keeping:
        _kept[key] = rendered
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return rendered
