"""What a training step gets: focal stacks with the truth about them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """B focal stacks of N slices of one size.

    Parameters
    ----------
    images : (B, N, 3, H, W) uint8
        RGB, in the order of exposure: near to far or far to near.
    dioptres : (B, N) float32
        Inverse focus distances in 1/m, 0 at infinity; distinct within a stack.
    inverse_depth : (B, H, W) float32
        Truth in 1/m on the grid of the first slice; NaN where it is not known, 0 at infinity.
    labels : (B, H, W) int64, optional
        Class of what is seen, -1 where it is not known.
    """

    images: Tensor
    dioptres: Tensor
    inverse_depth: Tensor
    labels: Tensor | None = None

    def to(self, device: str) -> TrainingBatch:
        """The batch on a device."""
        labels = None if self.labels is None else self.labels.to(device, non_blocking=True)
        return TrainingBatch(
            self.images.to(device, non_blocking=True),
            self.dioptres.to(device, non_blocking=True),
            self.inverse_depth.to(device, non_blocking=True),
            labels,
        )
