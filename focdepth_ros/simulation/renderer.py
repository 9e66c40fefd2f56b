"""Simulated focus sweeps: what an auto-focus camera would record of a scene.

From a scene, or any photograph with a depth map, through the thin-lens renderer, camera shake,
focus breathing and the noise of a sensor to a `FocalStack` with ground truth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import OptionError
from focdepth_ros.simulation.colour import linear_from_srgb, srgb_from_linear
from focdepth_ros.simulation.defocus import DefocusRenderer, Psf, largest_blur
from focdepth_ros.simulation.layers import LayeredView
from focdepth_ros.simulation.scenes import Scene
from focdepth_ros.stack import (
    CameraIntrinsics,
    FloatImage,
    FocalStack,
    ImageArray,
    Lens,
    Slice,
)


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
        Standard deviation per slice against the reference, in pixels and degrees.
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
        for name in ("full_well", "exposure", "frame_rate"):
            value = getattr(self, name)
            if not value > 0.0:
                raise OptionError(f"{name} is {value}; it must be above 0")
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
    """

    stack: FocalStack
    depth: FloatImage
    all_in_focus: ImageArray
    textureless: NDArray[np.bool_]
    light: tuple[FloatImage, ...]
    options: RenderOptions

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
    lens: Lens,
    focus_distances: Sequence[float],
    *,
    options: RenderOptions | None = None,
    reference: int = 0,
    seed: int = 0,
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

    Raises
    ------
    OptionError
        If the blur would be too large to render.
    CalibrationError
        If a focus distance is not beyond the focal length.
    StackError
        If the distances do not make a focal stack.
    """
    options = options or RenderOptions()
    truth = scene.view()
    with np.errstate(divide="ignore"):
        dioptre = 1.0 / truth.depth
    distances = tuple(float(z) for z in focus_distances)
    margin = _margin(lens, dioptre, distances, options, scene.intrinsics)
    view = scene.layered_view(margin)
    return _record_sweep(
        view, truth.depth, truth.textureless, scene.intrinsics, lens, distances,
        options, reference, seed,
    )  # fmt: skip


def _margin(
    lens: Lens,
    dioptre: FloatImage,
    focus_distances: tuple[float, ...],
    options: RenderOptions,
    intrinsics: CameraIntrinsics,
) -> int:
    """Pixels around the image that can come into view by blur, shake or breathing."""
    blur = largest_blur(lens, (float(dioptre.min()), float(dioptre.max())), focus_distances)
    half = max(intrinsics.width, intrinsics.height) / 2.0
    shake = 3.0 * (options.shake_translation + math.radians(options.shake_rotation) * half)
    inverse = [1.0 / z for z in focus_distances]
    change = lens.focal_length * (max(inverse) - min(inverse))
    breathing = abs(options.breathing) * change / (1.0 - lens.focal_length * max(inverse)) * half
    return math.ceil(blur + shake + breathing) + 2


def _record_sweep(
    view: LayeredView,
    depth: FloatImage,
    textureless: NDArray[np.bool_],
    intrinsics: CameraIntrinsics,
    lens: Lens,
    focus_distances: tuple[float, ...],
    options: RenderOptions,
    reference: int,
    seed: int,
) -> SimulatedStack:
    if not 0 <= reference < len(focus_distances):
        raise OptionError(f"reference slice {reference} is not in 0..{len(focus_distances) - 1}")
    motion_seed, noise_seed = np.random.SeedSequence(seed).spawn(2)
    motion, noise = np.random.default_rng(motion_seed), np.random.default_rng(noise_seed)
    renderer = DefocusRenderer(view, lens, focus_distances, psf=options.psf)
    shading = options.exposure * _vignette(intrinsics, options.vignetting)
    slices, lights = [], []
    for i, distance in enumerate(focus_distances):
        gain = max(1.0 + options.flicker * motion.standard_normal(), 0.1)
        shake = motion.standard_normal(3) * (
            options.shake_translation, options.shake_translation, options.shake_rotation
        )  # fmt: skip
        scale = _magnification(lens, distance, focus_distances[reference], options.breathing)
        if i == reference:
            shake[:] = 0.0
        canvas = renderer.render(distance)
        light = _through_moved_camera(canvas, intrinsics, view.margin, scale, shake)
        light = light * (np.float32(gain) * shading)
        lights.append(light)
        slices.append(
            Slice(
                _record(light, options, noise),
                distance,
                stamp=round(i * 1e9 / options.frame_rate),
                lens_position=1.0 / distance,
            )
        )
    stack = FocalStack(slices, intrinsics, lens, reference)
    near_to_far = sorted(range(len(lights)), key=lambda i: -slices[i].dioptre)
    return SimulatedStack(
        stack=stack,
        depth=depth,
        all_in_focus=srgb_from_linear(view.all_in_focus() * np.float32(options.exposure)),
        textureless=textureless,
        light=tuple(lights[i] for i in near_to_far),
        options=options,
    )


def _magnification(lens: Lens, distance: float, reference: float, breathing: float) -> float:
    """Image scale at a focus distance over that at the reference.

    Of a thin lens the image distance is ``f / (1 - f / Z_f)``, and the scale goes with it.
    """
    ratio = (1.0 - lens.focal_length / reference) / (1.0 - lens.focal_length / distance)
    return 1.0 + breathing * (ratio - 1.0)


def _through_moved_camera(
    canvas: FloatImage,
    intrinsics: CameraIntrinsics,
    margin: int,
    scale: float,
    shake: NDArray[np.float64],
) -> FloatImage:
    """The image cut out of a picture with margin, scaled about the principal point and moved."""
    size = (intrinsics.width, intrinsics.height)
    if scale == 1.0 and not shake.any():
        return canvas[margin : margin + size[1], margin : margin + size[0]]
    angle = np.deg2rad(shake[2])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    centre = np.array([intrinsics.cx, intrinsics.cy])
    offset = centre + margin + shake[:2] - turn @ centre
    warped = cv2.warpAffine(
        canvas,
        np.column_stack([turn, offset]),
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
