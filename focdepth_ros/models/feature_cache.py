"""What a network saw in slices that are still in use, for the sweeps that overlap."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from focdepth_ros.models.cuda_graphs import tensors_in
from focdepth_ros.models.sweeps import SliceFeatures
from focdepth_ros.stack import Slice

_MAX_BYTES = 2_000_000_000  # some hundred slices of 640x480 px


class FeatureCache:
    """Features of slices, as long as the slices are there and so far as there is room."""

    def __init__(self) -> None:
        self._features: WeakKeyDictionary[Slice, SliceFeatures] = WeakKeyDictionary()

    def get(self, item: Slice) -> SliceFeatures | None:
        """Those of a slice, if they were kept."""
        return self._features.get(item)

    def keep(self, item: Slice, features: SliceFeatures) -> None:
        """Keep those of a slice, unless they are too many."""
        if sum(map(_bytes_of, (*self._features.values(), features))) <= _MAX_BYTES:
            self._features[item] = features

    def clear(self) -> None:
        """Forget all of them."""
        self._features.clear()


def _bytes_of(features: SliceFeatures) -> int:
    return sum(tensor.nbytes for tensor in tensors_in(features))
