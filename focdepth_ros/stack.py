"""The types in which focus sweeps travel: `Slice`, `FocalStack`, `CameraIntrinsics`, `Lens`.

Distances are metres, stamps integer nanoseconds, images RGB or mono uint8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import CalibrationError, RelativeStackError, SliceError, StackError

ImageArray = NDArray[np.uint8]
FloatImage = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Slice:
    """One image of a focus sweep.

    Parameters
    ----------
    image : (H, W, 3) uint8 RGB or (H, W) uint8 mono
        The picture. It is kept, not copied.
    focus_distance : float or None
        Distance of the plane that is in focus, in metres, in (0, +inf]. ``None`` where it is
        not known: such a slice can only be part of a relative stack.
    stamp : int
        Time of exposure in nanoseconds.
    lens_position : float, optional
        What the driver calls the position of its lens, in the driver's own unit.
    valid_mask : (H, W) bool, optional
        False where an aligned image shows nothing, since that part of the scene was out of
        view: such pixels say nothing of the focus. All pixels are valid by default.
    gain : float
        By what the levels were multiplied after the exposure, and with them the noise.

    Raises
    ------
    SliceError
        If the image is empty or of another shape or type, the distance is not in (0, +inf], or
        the mask does not fit the image.
    """

    image: ImageArray = field(repr=False)
    focus_distance: float | None
    stamp: int = 0
    lens_position: float | None = None
    valid_mask: NDArray[np.bool_] | None = field(default=None, repr=False)
    gain: float = 1.0

    def __post_init__(self) -> None:
        image = self.image
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
            found = getattr(image, "dtype", type(image).__name__)
            raise SliceError(f"slice image is {found}; give a uint8 array")
        if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
            raise SliceError(f"slice image has shape {image.shape}; give (H, W, 3) RGB or (H, W)")
        if image.size == 0:
            raise SliceError(f"slice image of shape {image.shape} has no pixels")
        distance = self.focus_distance
        if distance is not None and not distance > 0.0:  # NaN fails this comparison too
            raise SliceError(f"focus distance {distance} m is not in (0, inf]; give metres")
        mask = self.valid_mask
        if mask is not None and (mask.dtype != np.bool_ or mask.shape != image.shape[:2]):
            raise SliceError(
                f"valid_mask is {mask.dtype} {mask.shape}; give bool {image.shape[:2]}"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[0], self.image.shape[1]

    @property
    def dioptre(self) -> float:
        """Focus distance as its inverse in 1/m; 0 at infinity.

        Raises
        ------
        RelativeStackError
            If the focus distance is not known.
        """
        if self.focus_distance is None:
            raise RelativeStackError("slice has no focus distance; give one in metres")
        return 1.0 / self.focus_distance

    @property
    def where(self) -> str:
        """Where the focus is, for messages: ``at 0.5 m``, ``at lens position 120``, or nothing."""
        if self.focus_distance is not None:
            return f"at {self.focus_distance:.4g} m"
        return "" if self.lens_position is None else f"at lens position {self.lens_position:.6g}"

    @property
    def rounded_dioptre(self) -> np.float32:
        """`dioptre` in the precision of the backends, in which two distances may be the same."""
        with np.errstate(over="ignore"):
            return np.float32(self.dioptre)


@dataclass(frozen=True)
class CameraIntrinsics:
    """Pinhole model of the camera with lens distortion as in ``sensor_msgs/CameraInfo``.

    Parameters
    ----------
    width, height : int
        Image size in pixels.
    fx, fy, cx, cy : float
        Focal lengths and principal point in pixels; pixel centres are at whole numbers.
    distortion_model : str
        ``plumb_bob``, ``rational_polynomial``, ``equidistant``, or empty for none.
    distortion : tuple of float
        Coefficients in the order that the model defines.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = ""
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise CalibrationError(
                f"camera intrinsics are for {self.width}x{self.height} pixels; both must be >= 1"
            )
        for name in ("fx", "fy"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise CalibrationError(f"camera intrinsics have {name}={value}; it must be > 0 px")
        for name in ("cx", "cy"):
            value = getattr(self, name)
            if not math.isfinite(value):
                raise CalibrationError(f"camera intrinsics have {name}={value}; it must be finite")
        unfit = next((c for c in self.distortion if not math.isfinite(c)), None)
        if unfit is not None:
            raise CalibrationError(f"distortion coefficients have {unfit}; they must be finite")


@dataclass(frozen=True)
class Lens:
    """A thin lens in front of a sensor.

    Parameters
    ----------
    focal_length : float
        Metres.
    f_number : float
        Focal length over aperture diameter.
    pixel_pitch : float
        Metres on the sensor per pixel of the image.
    """

    focal_length: float
    f_number: float
    pixel_pitch: float

    def __post_init__(self) -> None:
        for name in ("focal_length", "f_number", "pixel_pitch"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise CalibrationError(f"lens has {name}={value}; it must be > 0 and finite")


@dataclass(frozen=True, eq=False)
class FocalStack:
    """The slices of one focus sweep, near to far, all of one size.

    Slices may be given in any order; they are sorted by focus distance. Where no slice has
    one the stack is *relative* and keeps the order in which it was given.

    Parameters
    ----------
    slices : sequence of Slice
        At least 2, of one size and one number of channels, with distinct focus distances.
    intrinsics : CameraIntrinsics, optional
    lens : Lens, optional
    reference : int
        Index, in the sequence as given, of the slice whose pixel grid and stamp the answer
        uses. After construction it is the index in `slices`.

    Raises
    ------
    StackError
        If there are fewer than 2 slices, sizes or channels differ, two slices share a focus
        distance, only some have one, or `reference` is out of range.
    """

    slices: tuple[Slice, ...]
    intrinsics: CameraIntrinsics | None = None
    lens: Lens | None = None
    reference: int = 0
    _dioptres: NDArray[np.float64] | None = field(init=False, repr=False, default=None)

    def __init__(
        self,
        slices: Sequence[Slice],
        intrinsics: CameraIntrinsics | None = None,
        lens: Lens | None = None,
        reference: int = 0,
    ) -> None:
        slices = tuple(slices)
        if len(slices) < 2:
            raise StackError(f"a focal stack needs at least 2 slices, {len(slices)} given")
        if not 0 <= reference < len(slices):
            raise StackError(f"reference slice {reference} is not in 0..{len(slices) - 1}")
        for i, item in enumerate(slices):
            if item.image.shape != slices[0].image.shape:
                raise StackError(
                    f"slice {i} has shape {item.image.shape}, slice 0 {slices[0].image.shape}; "
                    "all slices of a stack must be of one size and type"
                )
        known = sum(item.focus_distance is not None for item in slices)
        if known not in (0, len(slices)):
            raise StackError(
                f"{known} of {len(slices)} slices have a focus distance; give all or none"
            )
        dioptres = None
        if known:
            order = sorted(range(len(slices)), key=lambda i: -slices[i].dioptre)
            reference = order.index(reference)
            slices = tuple(slices[i] for i in order)
            dioptres = np.array([item.dioptre for item in slices])
            for near, far in pairwise(slices):
                if near.rounded_dioptre == far.rounded_dioptre:
                    raise StackError(
                        f"two slices share the focus distance {near.focus_distance} m; keep one"
                    )
        if intrinsics is not None and slices[0].size != (intrinsics.height, intrinsics.width):
            raise StackError(
                f"slices are {slices[0].size[1]}x{slices[0].size[0]} px, camera intrinsics are "
                f"for {intrinsics.width}x{intrinsics.height}; calibrate at the size in use"
            )
        object.__setattr__(self, "slices", slices)
        object.__setattr__(self, "intrinsics", intrinsics)
        object.__setattr__(self, "lens", lens)
        object.__setattr__(self, "reference", reference)
        object.__setattr__(self, "_dioptres", dioptres)

    def __len__(self) -> int:
        return len(self.slices)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.slices[0].size

    @property
    def is_metric(self) -> bool:
        """Whether the focus distances are known."""
        return self._dioptres is not None

    @property
    def dioptres(self) -> NDArray[np.float64]:
        """Inverse focus distances, (N,) in 1/m, falling from near to far.

        Raises
        ------
        RelativeStackError
            If the stack is relative.
        """
        if self._dioptres is None:
            raise RelativeStackError(
                "this focal stack is relative: its focus distances are not known; "
                "give them in metres to get metric depth"
            )
        return self._dioptres
