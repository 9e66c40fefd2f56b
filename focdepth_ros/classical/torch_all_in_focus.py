"""The all-in-focus image on torch tensors.

The same as `all_in_focus`, `refinement.enlarge` and a median filter do with NumPy and OpenCV, up
to rounding, for machines with a GPU. Nothing here waits for the GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from focdepth_ros.classical.focus_measure import gaussian_size
from focdepth_ros.classical.torch_focus import correlated, mirrored, split

if TYPE_CHECKING:
    from torch import Tensor


def sample_all_in_focus(
    images: Sequence[Tensor],
    slice_index: Tensor,
    valid_masks: Sequence[Tensor | None] = (),
) -> Tensor:
    """`all_in_focus.sample_all_in_focus` on tensors.

    Parameters
    ----------
    images : sequence of N (H, W, 3) RGB or (H, W) uint8
    slice_index : (H, W) float32
    valid_masks : sequence of N (H, W) bool or None, or empty

    Returns
    -------
    (H, W, 3) uint8
    """
    import torch

    nearest = _where_seen(slice_index, valid_masks).round()
    colour = images[0].ndim == 3
    picture = images[0]
    for number, image in enumerate(images[1:], start=1):
        here = nearest == number
        picture = torch.where(here[..., None] if colour else here, image, picture)
    return picture if colour else picture[..., None].expand(-1, -1, 3)


def blend_all_in_focus(
    images: Tensor, slice_index: Tensor, order: Tensor, *, transition_sigma: float = 1.0
) -> Tensor:
    """`all_in_focus.blend_all_in_focus` on tensors, of slices that show all of the scene.

    Parameters
    ----------
    images : (N, H, W, 3) uint8
    slice_index : (H, W) float32
    order : (N,) int64
        Of the images from near to far.
    transition_sigma : float

    Returns
    -------
    (H, W, 3) uint8
    """
    positions = _smooth(slice_index, transition_sigma) if transition_sigma > 0.0 else slice_index
    below = positions.long().clamp_(0, len(order) - 2)
    share = (positions - below)[..., None]
    near, far = picked(images, order[below]), picked(images, order[below + 1])
    # OpenCV's blendLinear divides by the sum of the weights and a little more.
    mixed = (near * (1.0 - share) + far * share) / (1.0 + 1e-5)
    return mixed.round_().to(images.dtype)


def picked(images: Tensor, number: Tensor) -> Tensor:
    """Each pixel from the image (N, H, W, 3) whose number is given in (H, W) int64."""
    import torch

    _, height, width, channels = images.shape
    place = torch.arange(height * width, device=images.device)
    place = place + number.flatten() * (height * width)
    return images.flatten(0, 2).index_select(0, place).view(height, width, channels)


def median_of_labels(labels: Tensor, count: int, kernel: int) -> Tensor:
    """Median of whole numbers (h, w) in [0, count - 1] over a square; as `cv2.medianBlur`.

    It is as large as there are numbers which at most half of the square reaches up to.

    Returns
    -------
    (h, w) float32
    """
    import torch
    from torch.nn import functional

    number = torch.arange(count - 1, device=labels.device).view(-1, 1, 1)
    reached = (labels.int() <= number).float()  # uint16 cannot be compared
    padded = functional.pad(reached[None], (kernel // 2,) * 4, mode="replicate")
    share = functional.avg_pool2d(padded, kernel, stride=1)[0]
    return (share < 0.5).float().sum(dim=0)


def enlarge(slice_index: Tensor, size: tuple[int, int]) -> Tensor:
    """`refinement.enlarge` on tensors.

    Parameters
    ----------
    slice_index : (h, w) float32
    size : (H, W)

    Returns
    -------
    (H, W) float32
    """
    import torch
    from torch.nn import functional

    whole = slice_index[None, None]
    highest = functional.max_pool2d(whole, 3, stride=1, padding=1)
    lowest = -functional.max_pool2d(-whole, 3, stride=1, padding=1)
    edge = (highest - lowest > 1.0).float()
    smooth = functional.interpolate(whole, size=size, mode="bilinear", align_corners=False)
    nearest = functional.interpolate(torch.cat([whole, edge]), size=size, mode="nearest-exact")
    return torch.where(nearest[1, 0] > 0.5, nearest[0, 0], smooth[0, 0])


def _smooth(values: Tensor, sigma: float) -> Tensor:
    """`cv2.GaussianBlur` of (H, W) float32."""
    import torch

    reach = gaussian_size(sigma) // 2
    # Made there, not copied there: what a CUDA graph copies must stay where it is for ever.
    away = torch.arange(-reach, reach + 1, device=values.device) / sigma
    window = torch.exp(-0.5 * away.square())
    window = window / window.sum()
    for vertical, horizontal in ((reach, 0), (0, reach)):
        kernel = window.reshape(1, 2 * vertical + 1, 2 * horizontal + 1)
        values = correlated(split(mirrored(values, vertical, horizontal)), kernel)[0]
    return values


def _where_seen(slice_index: Tensor, valid_masks: Sequence[Tensor | None]) -> Tensor:
    """Positions, moved to the nearest valid slice where one next to them is not valid."""
    import torch

    if all(mask is None for mask in valid_masks):
        return slice_index
    nearest, unseen = slice_index, torch.zeros_like(slice_index, dtype=torch.bool)
    distance = torch.full_like(slice_index, torch.inf)
    for number, mask in enumerate(valid_masks):
        away = (slice_index - number).abs()
        if mask is not None:
            unseen = unseen | (~mask & (away < 1.0))
            away = torch.where(mask, away, torch.inf)
        nearest = torch.where(away < distance, float(number), nearest)
        distance = torch.minimum(away, distance)
    return torch.where(unseen, nearest, slice_index)
