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

        def moved(values: Tensor) -> Tensor:
            # A GPU does what it is given in order; in the memory of the processor all would be
            # read before it is there.
            return values.to(device, non_blocking=device != "cpu")

        labels = None if self.labels is None else moved(self.labels)
        return TrainingBatch(
            moved(self.images), moved(self.dioptres), moved(self.inverse_depth), labels
        )
