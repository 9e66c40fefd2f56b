"""Simulated focus sweeps: what an auto-focus camera would record of a scene.

From a scene, or any photograph with a depth map, through the thin-lens renderer, camera shake,
focus breathing and the noise of a sensor to a `FocalStack` with ground truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.colour import srgb_from_linear
from focdepth_ros.errors import OptionError
from focdepth_ros.simulation.default_camera import DEFAULT_FOCUS_DISTANCES, DEFAULT_LENS
from focdepth_ros.simulation.defocus import (
    SEPARATE_BLUR,
    DefocusRenderer,
    Psf,
    blur_per_dioptre,
    largest_blur,
)
from focdepth_ros.simulation.layers import LayeredView
from focdepth_ros.simulation.rgbd import check_rgbd, layered_view_from_rgbd, textureless_mask
from focdepth_ros.simulation.scenes import VIEW_STEPS, Scene
from focdepth_ros.stack import (
    CameraIntrinsics,
    FloatImage,
    FocalStack,
    ImageArray,
    Lens,
    Slice,
)

#: Called with the number of steps done and the number of all; what it raises ends the work.
RenderProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class RenderOptions:
    """What is imperfect about the simulated camera.

    Parameters
    ----------
    psf : {"disc", "gaussian"}
        Shape of the point-spread function.
    full_well : float
        Electrons at which a pixel is white; shot noise is their square root. +inf: none.
    read_noise : float
        Standard deviation in electrons.
    breathing : float
        Change of the image scale with focus: 0 none, as in a corrected lens; 1 that of a thin
        lens, whose image distance is ``f / (1 - f / Z_f)``.
    shake_translation, shake_rotation : float
        Standard deviation per slice against the reference, in pixels and degrees. Moved
        slices are resampled (Lanczos), which costs some of the finest detail.
    flicker : float
        Relative standard deviation of the exposure from slice to slice.
    vignetting : float
        Share of the light that is lost in the corners of the image, in [0, 1).
    exposure : float
        Factor on the light of the scene.
    frame_rate : float
        Frames per second, for the stamps.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    psf: Psf = "disc"
    full_well: float = 10_000.0
    read_noise: float = 5.0
    breathing: float = 0.0
    shake_translation: float = 0.0
    shake_rotation: float = 0.0
    flicker: float = 0.0
    vignetting: float = 0.0
    exposure: float = 1.0
    frame_rate: float = 30.0

    def __post_init__(self) -> None:
        if self.psf not in ("disc", "gaussian"):
            raise OptionError(f"psf '{self.psf}' is not known; use disc or gaussian")
        if not self.full_well > 0.0:
            raise OptionError(f"full_well is {self.full_well}; it must be above 0")
        for name in ("exposure", "frame_rate"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise OptionError(f"{name} is {value}; it must be above 0, and finite")
        for name in ("read_noise", "shake_translation", "shake_rotation", "flicker"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise OptionError(f"{name} is {value}; it must be 0 or more, and finite")
        if not math.isfinite(self.breathing):
            raise OptionError(f"breathing is {self.breathing}; it must be finite")
        if not 0.0 <= self.vignetting < 1.0:
            raise OptionError(f"vignetting is {self.vignetting}; it must be in [0, 1)")


@dataclass(frozen=True, eq=False)
class SimulatedStack:
    """A focus sweep of which everything is known.

    Parameters
    ----------
    stack : FocalStack
        With intrinsics and lens.
    depth : (H, W) float32
        Ground truth on the grid of the reference slice, metres along the optical axis; NaN
        where it is not known, +inf where nothing is.
    all_in_focus : (H, W, 3) uint8
        As through a pinhole, without noise.
    textureless : (H, W) bool
        Where the surface shows no detail by which its focus could be told.
    light : tuple of (H, W, 3) float32
        The slices before noise and quantisation, linear light, near to far.
    options : RenderOptions
    motions : tuple of (3, 3) float64
        From pixels of the reference slice to those of each slice, near to far.
    """

    stack: FocalStack
    depth: FloatImage
    all_in_focus: ImageArray
    textureless: NDArray[np.bool_]
    light: tuple[FloatImage, ...]
    options: RenderOptions
    motions: tuple[NDArray[np.float64], ...]

    def expose(self, seed: int) -> FocalStack:
        """The same sweep recorded once more, with fresh noise."""
        rng = np.random.default_rng(seed)
        slices = [
            Slice(_record(light, self.options, rng), s.focus_distance, s.stamp, s.lens_position)
            for light, s in zip(self.light, self.stack.slices, strict=True)
        ]
        stack = self.stack
        return FocalStack(slices, stack.intrinsics, stack.lens, stack.reference)


def render_stack(
    scene: Scene,
    lens: Lens = DEFAULT_LENS,
    focus_distances: Sequence[float] = DEFAULT_FOCUS_DISTANCES,
    *,
    options: RenderOptions | None = None,
    reference: int = 0,
    seed: int = 0,
    progress: RenderProgress | None = None,
) -> SimulatedStack:
    """Record a focus sweep of a scene.

    Parameters
    ----------
    scene : Scene
    lens : Lens
    focus_distances : sequence of float
        Metres, in (focal length, +inf], in the order of exposure.
    options : RenderOptions, optional
    reference : int
        Index of the slice on whose pixel grid the ground truth is given.
    seed : int
        Of noise, shake and flicker; the same seed gives the same pictures.
    progress : callable, optional

    Raises
    ------
    OptionError
        If the blur would be too large to render, shake or breathing would move the image by
        more than its size, or there is no such reference slice.
    CalibrationError
        If a focus distance is not beyond the focal length.
    StackError
        If the distances do not make a focal stack.
    """
    options = options or RenderOptions()
    sweep = _Sweep(lens, tuple(float(z) for z in focus_distances), reference, scene.intrinsics)
    truth = scene.view()
    margin = sweep.margin(truth.depth, options)
    on_step = _counting(progress, VIEW_STEPS + len(sweep.focus_distances))
    view = scene.layered_view(margin, on_step=on_step)
    return _record_sweep(view, truth.depth, truth.textureless, sweep, options, seed, on_step)


def render_rgbd(
    image: ImageArray,
    depth: FloatImage,
    intrinsics: CameraIntrinsics | None = None,
    lens: Lens = DEFAULT_LENS,
    focus_distances: Sequence[float] = DEFAULT_FOCUS_DISTANCES,
    *,
    options: RenderOptions | None = None,
    reference: int = 0,
    seed: int = 0,
) -> SimulatedStack:
    """Record a focus sweep of a photograph that has a depth map.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB, sharp everywhere.
    depth : (H, W) float32
        Metres along the optical axis; +inf allowed; NaN or 0 where not known.
    intrinsics : CameraIntrinsics, optional
        Of the photograph. By default those of a lens focused at infinity, looking straight on.
    lens, focus_distances, options, reference, seed
        As for `render_stack`.

    Raises
    ------
    OptionError
        If image and depth map do not fit together, or as `render_stack` does.
    CalibrationError, StackError
        As `render_stack` does.
    """
    check_rgbd(image, depth)
    options = options or RenderOptions()
    if intrinsics is None:
        height, width = depth.shape
        fx = lens.focal_length / lens.pixel_pitch
        intrinsics = CameraIntrinsics(width, height, fx, fx, (width - 1) / 2, (height - 1) / 2)
    sweep = _Sweep(lens, tuple(float(z) for z in focus_distances), reference, intrinsics)
    depth = depth.astype(np.float32)
    known = depth > 0.0
    margin = sweep.margin(depth[known], options)
    view = layered_view_from_rgbd(
        image,
        depth,
        margin=margin,
        reach=margin,
        gap=SEPARATE_BLUR / blur_per_dioptre(lens, sweep.focus_distances),
    )
    truth = np.where(known, depth, np.float32(np.nan))
    return _record_sweep(view, truth, textureless_mask(image), sweep, options, seed)


@dataclass(frozen=True)
class _Sweep:
    lens: Lens
    focus_distances: tuple[float, ...]
    reference: int
    intrinsics: CameraIntrinsics

    def __post_init__(self) -> None:
        count = len(self.focus_distances)
        if count == 0:
            raise OptionError("no focus distance to render at; give at least 2, in metres")
        if not 0 <= self.reference < count:
            raise OptionError(f"reference slice {self.reference} is not in 0..{count - 1}")

    def margin(self, depth: FloatImage, options: RenderOptions) -> int:
        """Pixels around the image that can come into view by blur, shake or breathing."""
        lens, camera = self.lens, self.intrinsics
        range_ = (1.0 / float(depth.max()), 1.0 / float(depth.min()))
        blur = largest_blur(lens, range_, self.focus_distances)
        half = max(camera.width, camera.height) / 2.0
        shake = 3.0 * (options.shake_translation + math.radians(options.shake_rotation) * half)
        scales = [self.magnification(i, options) for i in range(len(self.focus_distances))]
        breathing = half * max(1.0 / max(min(scales), 1e-9) - 1.0, 0.0)
        if shake + breathing > 2.0 * half:
            raise OptionError(
                f"breathing {options.breathing}, shake_translation {options.shake_translation} px "
                f"and shake_rotation {options.shake_rotation} degrees move the image by more than "
                "its own size; use smaller ones"
            )
        return math.ceil(blur + shake + breathing) + 2

    def magnification(self, index: int, options: RenderOptions) -> float:
        """Image scale of a slice over that of the reference.

        Of a thin lens the image distance is ``f / (1 - f / Z_f)``, and the scale goes with it.
        """
        focus, reference = self.focus_distances[index], self.focus_distances[self.reference]
        f = self.lens.focal_length
        ratio = (1.0 - f / reference) / (1.0 - f / focus)
        return 1.0 + options.breathing * (ratio - 1.0)


def _record_sweep(
    view: LayeredView,
    depth: FloatImage,
    textureless: NDArray[np.bool_],
    sweep: _Sweep,
    options: RenderOptions,
    seed: int,
    on_step: Callable[[], None] = lambda: None,
) -> SimulatedStack:
    motion_seed, noise_seed = np.random.SeedSequence(seed).spawn(2)
    motion, noise = np.random.default_rng(motion_seed), np.random.default_rng(noise_seed)
    distances = sweep.focus_distances
    renderer = DefocusRenderer(view, sweep.lens, distances, psf=options.psf)
    shading = options.exposure * _vignette(sweep.intrinsics, options.vignetting)
    shake_scale = (options.shake_translation, options.shake_translation, options.shake_rotation)
    slices, lights, motions = [], [], []
    for i, distance in enumerate(distances):
        gain = max(1.0 + options.flicker * float(motion.standard_normal()), 0.1)
        shake = motion.standard_normal(3) * shake_scale * (i != sweep.reference)
        motions.append(_motion(sweep.intrinsics, sweep.magnification(i, options), shake))
        picture = renderer.render(distance)
        light = _through_moved_camera(picture, sweep.intrinsics, view.margin, motions[-1])
        lights.append(light * (np.float32(gain) * shading))
        slices.append(
            Slice(
                _record(lights[-1], options, noise),
                distance,
                stamp=round(i * 1e9 / options.frame_rate),
                lens_position=1.0 / distance,
            )
        )
        on_step()
    near_to_far = sorted(range(len(lights)), key=lambda i: -slices[i].dioptre)
    return SimulatedStack(
        stack=FocalStack(slices, sweep.intrinsics, sweep.lens, sweep.reference),
        depth=depth,
        all_in_focus=srgb_from_linear(view.all_in_focus() * np.float32(options.exposure)),
        textureless=textureless,
        light=tuple(lights[i] for i in near_to_far),
        options=options,
        motions=tuple(motions[i] for i in near_to_far),
    )


def _counting(progress: RenderProgress | None, steps: int) -> Callable[[], None]:
    """What tells `progress` of one step more whenever it is called."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, steps)

    return step


def _motion(
    intrinsics: CameraIntrinsics, scale: float, shake: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pixels of the reference slice to those of a slice scaled about the principal point, moved."""
    angle = np.deg2rad(shake[2])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    centre = np.array([intrinsics.cx, intrinsics.cy])
    to_reference = np.eye(3)
    to_reference[:2, :2] = turn
    to_reference[:2, 2] = centre + shake[:2] - turn @ centre
    return np.asarray(np.linalg.inv(to_reference), dtype=np.float64)


def _through_moved_camera(
    canvas: FloatImage, intrinsics: CameraIntrinsics, margin: int, motion: NDArray[np.float64]
) -> FloatImage:
    """The image that a moved camera cuts out of a picture with margin."""
    size = (intrinsics.width, intrinsics.height)
    if np.array_equal(motion, np.eye(3)):
        return canvas[margin : margin + size[1], margin : margin + size[0]]
    into_canvas = np.linalg.inv(motion)[:2]
    into_canvas[:, 2] += margin
    warped = cv2.warpAffine(
        canvas,
        into_canvas,
        size,
        flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, dtype=np.float32)


def _vignette(intrinsics: CameraIntrinsics, loss: float) -> FloatImage:
    """Share of the light that arrives, (H, W, 1), falling with the square of the distance."""
    x = np.arange(intrinsics.width, dtype=np.float32) - np.float32(intrinsics.cx)
    y = np.arange(intrinsics.height, dtype=np.float32) - np.float32(intrinsics.cy)
    squared = x[None, :] ** 2 + y[:, None] ** 2
    return np.asarray(1.0 - loss * squared / squared.max(), dtype=np.float32)[..., None]


def _record(light: FloatImage, options: RenderOptions, rng: np.random.Generator) -> ImageArray:
    """What the sensor makes of light: electrons with noise, then sRGB codes.

    Shot noise is drawn from the normal distribution that a Poisson one approaches; it differs
    only where there are so few electrons that the read noise hides them.
    """
    variance = np.maximum(light, 0.0) / np.float32(options.full_well)
    variance += np.float32((options.read_noise / options.full_well) ** 2)
    noisy = rng.standard_normal(light.shape, dtype=np.float32)
    noisy *= np.sqrt(variance, out=variance)
    noisy += light
    return srgb_from_linear(noisy)
