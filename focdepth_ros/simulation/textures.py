"""What the surfaces of simulated scenes are covered with: photographs, patterns, plain paint.

Colours are linear light in [0, 1]. Photographs are those that come with scikit-image, where it
is installed, or any folder of images; without either every texture is a pattern made here.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.colour import linear_from_srgb
from focdepth_ros.errors import OptionError
from focdepth_ros.stack import FloatImage, ImageArray

_SIDE = 512
_GRAIN_SCALE = 6.0  # texels of the grain per texel of the texture it is laid over
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")

# Of the images inside the scikit-image package, those that look like the surface of something.
_BUNDLED = (
    "astronaut.png", "brick.png", "chelsea.png", "coffee.png", "coins.png", "grass.png",
    "gravel.png", "ihc.png", "motorcycle_left.png",
)  # fmt: skip


class Texture:
    """An image laid over a surface, sampled without aliasing.

    Parameters
    ----------
    image : (H, W, 3) float32
        Linear light. Beyond its border it is mirrored.
    texel : float
        Metres on the surface per pixel of `image`.
    """

    def __init__(self, image: FloatImage, texel: float) -> None:
        self._texel = texel
        self._levels = _pyramid(image)

    def sample(
        self, coordinates: NDArray[np.float32], footprint: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Colours at points of the surface, averaged over the size of a pixel there.

        Parameters
        ----------
        coordinates : (M, 2) float32
            Position on the surface in metres.
        footprint : (M,) float32
            Size in metres of what one ray stands for.

        Returns
        -------
        (M, 3) float32
            Linear light.
        """
        colours = _sample_levels(self._levels, coordinates, footprint, self._texel)
        # Seen from near, a texture of finite size runs out of detail; real surfaces do not.
        grain_texel = self._texel / _GRAIN_SCALE
        close = np.flatnonzero(footprint < 2.0 * self._texel)
        if close.size:
            grain = _sample_levels(_grain(), coordinates[close], footprint[close], grain_texel)
            colours[close] *= grain
        return np.clip(colours, 0.0, 1.0, out=colours)


def _pyramid(image: FloatImage) -> list[FloatImage]:
    levels = [image]
    while min(levels[-1].shape[:2]) > 4:
        height, width = levels[-1].shape[:2]
        half = cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        levels.append(np.asarray(half, dtype=np.float32))
    return levels


def _sample_levels(
    levels: Sequence[FloatImage],
    coordinates: NDArray[np.float32],
    footprint: NDArray[np.float32],
    texel: float,
) -> NDArray[np.float32]:
    """Trilinear lookup, (M, C): between two levels of the pyramid, bilinear in each."""
    level = np.clip(np.log2(footprint / np.float32(texel)), 0.0, len(levels) - 1.0)
    channels = 1 if levels[0].ndim == 2 else levels[0].shape[2]
    colours = np.zeros((len(level), channels), dtype=np.float32)
    for i, image in enumerate(levels):
        weight = 1.0 - np.abs(level - np.float32(i))
        chosen = np.flatnonzero(weight > 0.0)
        if chosen.size:
            position = coordinates[chosen] / np.float32(texel * 2**i)
            colours[chosen] += weight[chosen, None] * _sample_mirrored(image, position)
    return colours


def _sample_mirrored(image: FloatImage, position: NDArray[np.float32]) -> NDArray[np.float32]:
    period = np.array([2.0 * image.shape[1], 2.0 * image.shape[0]], dtype=np.float32)
    folded = np.mod(position, period)
    folded = np.minimum(folded, period - folded) - np.float32(0.5)
    columns = 1024  # cv2.remap takes no side above 32767, so the list becomes a rectangle
    rows = -(-len(folded) // columns)
    grid = np.zeros((rows * columns, 2), dtype=np.float32)
    grid[: len(folded)] = folded
    x, y = np.moveaxis(grid.reshape(rows, columns, 2), -1, 0)
    found = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found.reshape(rows * columns, -1)[: len(folded)], dtype=np.float32)


@lru_cache(maxsize=1)
def _grain() -> list[FloatImage]:
    noise = fractal_noise(np.random.default_rng(7), _SIDE, roughness=0.75)
    return _pyramid((0.6 + 0.8 * noise).astype(np.float32))


def load_photographs(folder: Path | str | None = None) -> tuple[ImageArray, ...]:
    """Photographs to texture scenes with.

    Parameters
    ----------
    folder : path, optional
        Where to take them from. By default those inside the scikit-image package; none where
        it is not installed.

    Returns
    -------
    tuple of (H, W, 3) uint8
        RGB, in the order of their file names.

    Raises
    ------
    OptionError
        If `folder` is no folder or holds no readable image.
    """
    if folder is None:
        return _bundled_photographs()
    folder = Path(folder)
    if not folder.is_dir():
        raise OptionError(f"texture folder '{folder}' does not exist; give a folder of images")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in _IMAGE_SUFFIXES)
    photographs = _read_images(paths)
    if not photographs:
        raise OptionError(
            f"texture folder '{folder}' holds no readable image; put {_IMAGE_SUFFIXES} files there"
        )
    return photographs


@lru_cache(maxsize=1)
def _bundled_photographs() -> tuple[ImageArray, ...]:
    package = importlib.util.find_spec("skimage")  # found, not imported: that takes a second
    if package is None or package.origin is None:
        return ()
    data = Path(package.origin).parent / "data"
    return _read_images([data / name for name in _BUNDLED])


def _read_images(paths: Sequence[Path]) -> tuple[ImageArray, ...]:
    images = (cv2.imread(str(path), cv2.IMREAD_COLOR) for path in paths if path.is_file())
    return tuple(np.ascontiguousarray(i[..., ::-1]) for i in images if i is not None)


def random_texture(
    rng: np.random.Generator, texel: float, photographs: Sequence[ImageArray] = ()
) -> Texture:
    """A photograph, cropped, turned and recoloured at random, or a pattern.

    Parameters
    ----------
    rng : numpy.random.Generator
    texel : float
        Metres on the surface per pixel of the texture.
    photographs : sequence of (H, W, 3) uint8 RGB
        Patterns only where this is empty.
    """
    if photographs and rng.random() < 0.7:
        image = _from_photograph(rng, photographs[int(rng.integers(len(photographs)))])
    else:
        image = _PATTERNS[int(rng.integers(len(_PATTERNS)))](rng)
    return Texture(image, texel)


def _from_photograph(rng: np.random.Generator, photograph: ImageArray) -> FloatImage:
    height, width = photograph.shape[:2]
    side = int(min(height, width) * rng.uniform(0.6, 1.0))
    top = int(rng.integers(height - side + 1))
    left = int(rng.integers(width - side + 1))
    crop = np.rot90(photograph[top : top + side, left : left + side], int(rng.integers(4)))
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    image = linear_from_srgb(crop)
    if side > _SIDE:
        image = _resized(image, cv2.INTER_AREA)
    # Half of the time another tint, always another exposure; too dark a photograph is lifted.
    if rng.random() < 0.5:
        image = np.asarray(cv2.transform(image, _tint(rng)), dtype=np.float32)
    image *= np.float32(rng.uniform(0.3, 0.5) / max(float(image.mean()), 0.05))
    return np.clip(image, 0.01, 1.0, out=image)


def _tint(rng: np.random.Generator) -> NDArray[np.float32]:
    """A colour matrix: permuted channels, partly desaturated, rows summing to about one."""
    matrix = np.eye(3)[rng.permutation(3)]
    saturation = rng.uniform(0.3, 1.0)
    matrix = saturation * matrix + (1.0 - saturation) / 3.0
    return (matrix * rng.uniform(0.7, 1.3, size=3)).astype(np.float32)


def random_colour(rng: np.random.Generator, low: float = 0.08, high: float = 0.85) -> FloatImage:
    """A colour that paint could have, (3,) float32 linear light."""
    value = rng.uniform(low, high)
    saturation = rng.uniform(0.0, 0.7)
    hue = rng.uniform(0.0, 1.0, size=3)
    return np.asarray(value * (1.0 - saturation * (1.0 - hue)), dtype=np.float32)


def fractal_noise(
    rng: np.random.Generator, side: int, *, roughness: float = 0.55, coarsest: int = 4
) -> FloatImage:
    """Noise with detail at every scale, (side, side) float32, in [0, 1] with mean near 0.5.

    Parameters
    ----------
    roughness : float
        Amplitude of each octave over that of the next coarser one.
    coarsest : int
        Number of lattice cells across, in the coarsest octave.
    """
    total = np.zeros((side, side), dtype=np.float32)
    cells, amplitude = coarsest, 1.0
    while cells <= side:
        lattice = rng.standard_normal((cells, cells)).astype(np.float32)
        total += amplitude * cv2.resize(lattice, (side, side), interpolation=cv2.INTER_CUBIC)
        cells, amplitude = cells * 2, amplitude * roughness
    total /= 5.0 * float(total.std())
    return np.asarray(np.clip(total + 0.5, 0.0, 1.0))


def _resized(image: FloatImage, interpolation: int) -> FloatImage:
    image = np.ascontiguousarray(image)
    return np.asarray(cv2.resize(image, (_SIDE, _SIDE), interpolation=interpolation), np.float32)


def _blend(weight: FloatImage, one: FloatImage, other: FloatImage) -> FloatImage:
    return np.asarray(one + weight[..., None] * (other - one), dtype=np.float32)


def _speckled(rng: np.random.Generator) -> FloatImage:
    """Stone, plaster, carpet: fractal noise between two colours."""
    noise = fractal_noise(rng, _SIDE, roughness=rng.uniform(0.5, 0.9))
    return _blend(noise, random_colour(rng, 0.05, 0.3), random_colour(rng, 0.5, 0.9))


def _wooden(rng: np.random.Generator) -> FloatImage:
    """Planks: noise stretched along one direction."""
    stretch = int(rng.integers(6, 16))
    noise = fractal_noise(rng, _SIDE, roughness=0.8)[:, : _SIDE // stretch]
    noise = _resized(noise, cv2.INTER_LINEAR)
    image = _blend(noise, random_colour(rng, 0.05, 0.25), random_colour(rng, 0.4, 0.8))
    image[:: int(rng.integers(60, 120))] *= 0.3
    return image


def _tiled(rng: np.random.Generator) -> FloatImage:
    """Tiles or bricks of varying brightness with joints between them."""
    rows, columns = (int(n) for n in rng.integers(5, 14, size=2))
    tone = rng.uniform(0.5, 1.2, size=(rows, columns)).astype(np.float32)
    image = cv2.resize(tone, (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST)[..., None]
    image = image * _blend(
        fractal_noise(rng, _SIDE, roughness=0.8),
        random_colour(rng, 0.1, 0.3),
        random_colour(rng, 0.4, 0.8),
    )
    joint = random_colour(rng)
    image[(np.arange(_SIDE) * rows % _SIDE) < 4 * rows] = joint
    image[:, (np.arange(_SIDE) * columns % _SIDE) < 4 * columns] = joint
    return np.asarray(image, dtype=np.float32)


def _printed(rng: np.random.Generator) -> FloatImage:
    """A poster: shapes and letters in several colours on paper."""
    image = np.empty((_SIDE, _SIDE, 3), dtype=np.float32)
    image[:] = random_colour(rng, 0.4, 0.9)
    for _ in range(60):
        x, y = (int(v) for v in rng.integers(0, _SIDE, size=2))
        colour = tuple(float(c) for c in random_colour(rng))
        kind = rng.random()
        if kind < 0.35:
            cv2.circle(image, (x, y), int(rng.integers(4, 50)), colour, -1, cv2.LINE_AA)
        elif kind < 0.6:
            corner = (x + int(rng.integers(8, 90)), y + int(rng.integers(8, 90)))
            cv2.rectangle(image, (x, y), corner, colour, -1)
        else:
            letters = "".join(chr(c) for c in rng.integers(65, 91, size=6))
            size = float(rng.uniform(0.4, 2.0))
            # Text is drawn on 8-bit images only, from OpenCV 5 on.
            inked = np.zeros((_SIDE, _SIDE), dtype=np.uint8)
            font = cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(inked, letters, (x, y), font, size, 255, 2, cv2.LINE_8)
            image[inked > 0] = colour
    image *= (0.8 + 0.4 * fractal_noise(rng, _SIDE, roughness=0.9))[..., None]
    return image


_PATTERNS: tuple[Callable[[np.random.Generator], FloatImage], ...] = (
    _speckled,
    _wooden,
    _tiled,
    _printed,
)
