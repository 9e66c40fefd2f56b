"""CUDA graphs: what a function gives a GPU to do, recorded once and then played back.

A small network takes a GPU less time than Python needs to give it the work; played back, the
whole of it is given at once.
"""

from __future__ import annotations

import gc
import traceback
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache, lru_cache
from typing import Any, Generic, ParamSpec, TypeVar, cast

import torch
from torch import Tensor

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")

Recorder = Callable[[Callable[[], Any]], tuple[Any, Callable[[], None]]]

_WARM_UPS = 3
_SHAPES = 64  # that are remembered until they come again
_IN_USE = 32  # calls after which a recording that none of them asked for makes room


class CapturedFunction(Generic[_Given, _Found]):
    """A function that is recorded for every shape of what it is given, and then played back.

    Recording takes several calls' time, and many shapes come only once. So the first call with
    one is just made, and the second is recorded; and where as many are recorded as are kept, those
    in use are not given up for one more. What there is too little memory to record is just made.

    Parameters
    ----------
    function : callable
        Takes and returns tensors, None, and tuples and frozen dataclasses of them. All that it
        does must be work of the GPU, the same whenever the shapes are the same.
    record : callable
        Calls a function, and returns what came out and how to calculate it anew in place.
    quick : callable, optional
        What is recorded in its place: the same, in less time once it has been called.
    limit : int
        Recordings that are kept; the one used least recently makes room, after some calls.
    borrows : bool
        Whether an answer is the recording's own, which the next call overwrites.
    """

    def __init__(
        self,
        function: Callable[_Given, _Found],
        record: Recorder,
        quick: Callable[_Given, _Found] | None = None,
        *,
        limit: int = 4,
        borrows: bool = False,
    ) -> None:
        self._function = function
        self._quick = quick or function
        self._record = record
        self._limit = limit
        self._borrows = borrows
        self._recordings: OrderedDict[Hashable, _Recording] = OrderedDict()
        self._seen_once: OrderedDict[Hashable, None] = OrderedDict()
        self._too_large: OrderedDict[Hashable, None] = OrderedDict()
        self._calls = 0

    def __call__(self, *args: _Given.args, **kwargs: _Given.kwargs) -> _Found:
        """What the function answers, in memory of its own unless `borrows`."""
        given = (args, tuple(sorted(kwargs.items())))
        tensors: list[Tensor] = []
        outline: list[Hashable] = []
        _take_apart(given, tensors, outline)
        key = tuple(outline)
        self._calls += 1
        recording = self._recordings.pop(key, None)
        may_record = key in self._seen_once and key not in self._too_large
        if recording is None and may_record and self._has_room():
            recording = self._recorded(key, given, tensors)
        if recording is None:
            _note(self._seen_once, key)
            return self._function(*args, **kwargs)
        recording.last_call = self._calls
        self._recordings[key] = recording
        return cast(_Found, recording.play(tensors, borrows=self._borrows))

    def _has_room(self) -> bool:
        """Whether one more may be recorded, in place of one that nobody asks for any more."""
        if len(self._recordings) < self._limit:
            return True
        key, oldest = next(iter(self._recordings.items()))
        if self._calls - oldest.last_call < _IN_USE:
            return False
        del self._recordings[key]
        return True

    def _recorded(self, key: Hashable, given: Any, tensors: Sequence[Tensor]) -> _Recording | None:
        """A recording; None where there is too little memory for it."""
        try:
            return _Recording(self._quick, given, tensors, self._record)
        except RuntimeError as error:
            if not _is_of_memory(error):
                raise
            _note(self._too_large, key)
            traceback.clear_frames(error.__traceback__)
        self._recordings.clear()
        gc.collect()
        torch.cuda.empty_cache()
        return None

    def clear(self) -> None:
        """Forget the recordings, and what they hold of the device's memory."""
        self._recordings.clear()
        self._seen_once.clear()


class _Recording:
    """A function at one place in memory, where its arguments are copied to."""

    def __init__(
        self,
        function: Callable[..., Any],
        given: Any,
        tensors: Sequence[Tensor],
        record: Recorder,
    ) -> None:
        places = [tensor.clone() for tensor in tensors]
        args, kwargs = _rebuilt(given, iter(places))
        self._found, self._replay = record(lambda: function(*args, **dict(kwargs)))
        #: Number of the call that it was last played for.
        self.last_call = 0
        self._given = _by_type(places)
        self._answers = tensors_in(self._found)
        self._answers_by_type = _by_type(self._answers)

    def play(self, tensors: Sequence[Tensor], *, borrows: bool) -> Any:
        # Many tensors with few calls: each of them takes longer than what it does.
        for numbers, places in self._given:
            torch._foreach_copy_(places, [tensors[number] for number in numbers])
        self._replay()
        if borrows:
            return self._found
        own = [torch.empty_like(tensor) for tensor in self._answers]
        for numbers, answers in self._answers_by_type:
            torch._foreach_copy_([own[number] for number in numbers], answers)
        return _rebuilt(self._found, iter(own))


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


def _note(keys: OrderedDict[Hashable, None], key: Hashable) -> None:
    keys[key] = None
    if len(keys) > _SHAPES:
        keys.popitem(last=False)


def _is_of_memory(error: BaseException | None) -> bool:
    """Whether it came of too little memory; the end of a recording raises further errors."""
    while error is not None:
        if isinstance(error, torch.cuda.OutOfMemoryError):
            return True
        error = error.__context__
    return False


def _by_type(tensors: Sequence[Tensor]) -> list[tuple[list[int], list[Tensor]]]:
    """Numbers and tensors, those of one type of values together."""
    kinds: dict[torch.dtype, list[int]] = {}
    for number, tensor in enumerate(tensors):
        kinds.setdefault(tensor.dtype, []).append(number)
    return [(numbers, [tensors[number] for number in numbers]) for numbers in kinds.values()]


def tensors_in(tree: Any) -> list[Tensor]:
    """The tensors in tuples and dataclasses, in order."""
    tensors: list[Tensor] = []
    _take_apart(tree, tensors, [])
    return tensors


def _take_apart(tree: Any, tensors: list[Tensor], outline: list[Hashable]) -> None:
    """Add the tensors of a tree, and what must be the same for a recording to fit."""
    if isinstance(tree, Tensor):
        tensors.append(tree)
        outline.append(_layout(tree.shape, tree.stride()))
        outline.append(tree.dtype)
        return
    kind: Any = type(tree)
    outline.append(kind)
    if isinstance(tree, tuple):
        outline.append(len(tree))
        for item in tree:
            _take_apart(item, tensors, outline)
    elif names := _names(kind):
        for name in names:
            _take_apart(getattr(tree, name), tensors, outline)
    else:
        outline.append(tree)


def _rebuilt(tree: Any, tensors: Iterator[Tensor]) -> Any:
    """The same with other tensors."""
    if isinstance(tree, Tensor):
        return next(tensors)
    if isinstance(tree, tuple):
        return tuple(_rebuilt(item, tensors) for item in tree)
    kind: Any = type(tree)
    if names := _names(kind):
        return replace(tree, **{name: _rebuilt(getattr(tree, name), tensors) for name in names})
    return tree


@cache
def _names(kind: Any) -> tuple[str, ...]:
    """Of the fields, if it is a dataclass."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


@lru_cache(maxsize=1024)
def _layout(shape: Sequence[int], strides: Sequence[int]) -> Hashable:
    # The stride of a single row or channel says nothing, and differs.
    rows = zip(shape, strides, strict=True)
    return (tuple(shape), tuple(stride for size, stride in rows if size > 1))
