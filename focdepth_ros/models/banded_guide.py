"""Guide and refinement of large pictures in bands of rows, so that they take little memory.

What is done at half the resolution looks a few cells around itself: of a band, with as many more
rows on either side, it gives what it gives of the whole. From a quarter of the resolution on the
whole frame is looked at; there it is small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from focdepth_ros.models.cpu_memory import give_back_freed_memory
from focdepth_ros.models.focus_guide import Curves
from focdepth_ros.models.refinement import (
    Guide,
    GuideEncoder,
    GuideInput,
    Refined,
    RefinementHead,
)
from focdepth_ros.models.residual_units import FusionBlock, enlarged, fused_levels

#: Gives what the guide looks at of the rows of cells from one number up to another.
GuideRows = Callable[[int, int], GuideInput]

_BAND_BYTES = 2**28  # of all that is in use together for a band
_PLANES = 220  # of a cell that are in use together, beside the curves
_LEAST_ROWS = 64
_ENCODER_REACH = 2  # cells: a residual unit
_HEAD_REACH = 40  # cells, even: three residual units 6, sharing of evidence 31, interpolation 1


def rows_of_a_band(shape: tuple[int, int], curves: int) -> int:
    """Rows of (h, w) cells to take together, with so many curve values each: even, or all."""
    height, width = shape
    rows = _BAND_BYTES // (4 * width * (curves + _PLANES)) // 2 * 2
    return height if rows >= height else max(rows, _LEAST_ROWS)


def refined_in_bands(
    encoder: GuideEncoder,
    fusion: Sequence[nn.Module],
    head: RefinementHead,
    guide_rows: GuideRows,
    shape: tuple[int, int],
    rows: int,
) -> Refined:
    """What encoder, fusion and head give of a whole sweep, without gradients and labels.

    Parameters
    ----------
    encoder : GuideEncoder
    fusion : sequence of FusionBlock
        The coarsest first.
    head : RefinementHead
    guide_rows : callable
    shape : (h, w)
        Of all cells; multiples of 16.
    rows : int
        Of a band; even.

    Returns
    -------
    Refined
        Without coarse positions.
    """
    height, _ = shape
    seen = [_Joined(height) for _ in range(3)]
    reduced = _Joined(height // 2)
    for begin, end in _bands(height, rows):
        top, bottom = max(begin - _ENCODER_REACH, 0), min(end + _ENCODER_REACH, height)
        parts = encoder.looked_at(guide_rows(top, bottom))
        for whole, part in zip(seen, parts, strict=True):
            whole.put(begin, part[:, :, begin - top : end - top])
        # Of two rows more the convolution in steps of two gives one more, which is not right.
        above = max(begin - 2, 0)
        found = encoder.reduce[0](nn.functional.relu(seen[0].rows(above, end)))
        reduced.put(begin // 2, found[:, :, (begin - above) // 2 :])
    laterals = encoder.laterals_of(reduced.rows(0, height // 2))
    coarser = fused_levels(fusion[:-1], laterals[1:])
    last = fusion[-1]
    assert isinstance(last, FusionBlock)
    fused = last.joined(laterals[0], coarser)
    del laterals, coarser, reduced, parts, found

    position, logits = _Joined(2 * height), _Joined(2 * height)
    for begin, end in _bands(height, rows):
        top, bottom = max(begin - _HEAD_REACH, 0), min(end + _HEAD_REACH, height)
        given = guide_rows(top, bottom)
        features, candidates, peak = (whole.rows(top, bottom) for whole in seen)
        curves = Curves(given.energies, peak)
        guide = Guide(curves, given.positions, candidates, features, ())
        refined = head(enlarged_rows(fused, top, bottom), guide)
        own = slice(2 * (begin - top), 2 * (end - top))
        del given, features, candidates, peak, curves, guide
        position.put(2 * begin, refined.position[:, None, own])
        if refined.confidence_logits is not None:
            logits.put(2 * begin, refined.confidence_logits[:, None, own])
        del refined
    told = None if logits.empty else logits.rows(0, 2 * height)[:, 0]
    return Refined(position.rows(0, 2 * height)[:, 0], told, None, ())


def enlarged_rows(values: Tensor, begin: int, end: int) -> Tensor:
    """Rows of `enlarged` values (B, C, h, w), from an even one up to another."""
    top, bottom = max(begin // 2 - 1, 0), min(end // 2 + 1, values.shape[2])
    return enlarged(values[:, :, top:bottom])[:, :, begin - 2 * top : end - 2 * top]


def _bands(height: int, rows: int) -> Iterator[tuple[int, int]]:
    """From where to where; the last one is at least as high as the padding of a picture.

    Between them what was freed is given back, which is in pieces of no use to what comes next.
    """
    begin = 0
    while begin < height:
        end = begin + rows
        if height - end < _LEAST_ROWS:
            end = height
        give_back_freed_memory()
        yield begin, end
        begin = end


class _Joined:
    """A tensor (B, C, `height`, w) that is filled band by band."""

    def __init__(self, height: int) -> None:
        self._height = height
        self._whole: Tensor | None = None

    @property
    def empty(self) -> bool:
        return self._whole is None

    def put(self, begin: int, part: Tensor) -> None:
        batch, channels, rows, width = part.shape
        if self._whole is None:
            size = (batch, channels, self._height, width)
            last = part.stride(1) == 1 and channels > 1
            layout = torch.channels_last if last else torch.contiguous_format
            self._whole = torch.empty(
                size, dtype=part.dtype, device=part.device, memory_format=layout
            )
        self._whole[:, :, begin : begin + rows] = part

    def rows(self, begin: int, end: int) -> Tensor:
        assert self._whole is not None
        return self._whole[:, :, begin:end]
