"""CUDA graphs: what a function gives a GPU to do, recorded once and then played back.

A small network takes a GPU less time than Python needs to give it the work; played back, the
whole of it is given at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, Generic, ParamSpec, TypeVar, cast

import torch
from torch import Tensor

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")

Recorder = Callable[[Callable[[], Any]], tuple[Any, Callable[[], None]]]

_WARM_UPS = 3
_SEEN_ONCE = 64  # shapes that are remembered until they come again


class CapturedFunction(Generic[_Given, _Found]):
    """A function that is recorded for every shape of what it is given, and then played back.

    Recording takes several calls' time, and many shapes come only once. So the first call with
    one is just made, and the second is recorded.

    Parameters
    ----------
    function : callable
        Takes and returns tensors, None, and tuples and frozen dataclasses of them. All that it
        does must be work of the GPU, the same whenever the shapes are the same.
    record : callable
        Calls a function, and returns what came out and how to calculate it anew in place.
    limit : int
        Recordings that are kept; the one used least recently makes room.
    """

    def __init__(
        self, function: Callable[_Given, _Found], record: Recorder, limit: int = 4
    ) -> None:
        self._function = function
        self._record = record
        self._limit = limit
        self._recordings: OrderedDict[Hashable, _Recording] = OrderedDict()
        self._seen_once: OrderedDict[Hashable, None] = OrderedDict()

    def __call__(self, *args: _Given.args, **kwargs: _Given.kwargs) -> _Found:
        """What the function answers, in memory of its own."""
        given = (args, tuple(sorted(kwargs.items())))
        key = _signature(given)
        recording = self._recordings.pop(key, None)
        if recording is None:
            if key not in self._seen_once:
                self._seen_once[key] = None
                if len(self._seen_once) > _SEEN_ONCE:
                    self._seen_once.popitem(last=False)
                return self._function(*args, **kwargs)
            recording = _Recording(self._function, given, self._record)
            del self._seen_once[key]
        self._recordings[key] = recording
        if len(self._recordings) > self._limit:
            self._recordings.popitem(last=False)
        return cast(_Found, recording.play(given))

    def clear(self) -> None:
        """Forget the recordings, and what they hold of the device's memory."""
        self._recordings.clear()
        self._seen_once.clear()


class _Recording:
    """A function at one place in memory, where its arguments are copied to."""

    def __init__(self, function: Callable[..., Any], given: Any, record: Recorder) -> None:
        self._given = [tensor.clone() for tensor in tensors_in(given)]
        args, kwargs = _rebuilt(given, iter(self._given))
        self._found, self._replay = record(lambda: function(*args, **dict(kwargs)))

    def play(self, given: Any) -> Any:
        for place, tensor in zip(self._given, tensors_in(given), strict=True):
            place.copy_(tensor)
        self._replay()
        return _rebuilt(self._found, (tensor.clone() for tensor in tensors_in(self._found)))


def record_cuda_graph(function: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
    """A `Recorder` for the current CUDA device."""
    # Libraries choose their ways and take their memory when they are first called; neither may
    # happen while a graph is recorded, nor on the stream on which other work is.
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UPS):
            function()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        found = function()
    return found, graph.replay


def tensors_in(tree: Any) -> Iterator[Tensor]:
    """The tensors in tuples and dataclasses, in order."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, tuple):
        for item in tree:
            yield from tensors_in(item)
    elif is_dataclass(tree):
        for field in fields(tree):
            yield from tensors_in(getattr(tree, field.name))


def _rebuilt(tree: Any, tensors: Iterator[Tensor]) -> Any:
    """The same with other tensors."""
    if isinstance(tree, Tensor):
        return next(tensors)
    if isinstance(tree, tuple):
        return tuple(_rebuilt(item, tensors) for item in tree)
    if is_dataclass(tree) and not isinstance(tree, type):
        names = [field.name for field in fields(tree)]
        return replace(tree, **{name: _rebuilt(getattr(tree, name), tensors) for name in names})
    return tree


def _signature(tree: Any) -> Hashable:
    """What must be the same for a recording to fit."""
    if isinstance(tree, Tensor):
        # The stride of a single row or channel says nothing, and differs.
        strides = zip(tree.shape, tree.stride(), strict=True)
        return (tree.shape, tree.dtype, tuple(stride for size, stride in strides if size > 1))
    if isinstance(tree, tuple):
        return tuple(map(_signature, tree))
    if is_dataclass(tree):
        return (type(tree), *(_signature(getattr(tree, field.name)) for field in fields(tree)))
    return cast(Hashable, tree)
