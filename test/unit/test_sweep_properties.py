"""What holds for the sweep assembler whatever a driver sends."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from focdepth_ros.errors import MessageError
from focdepth_ros.stack import ImageArray, Slice
from focdepth_ros.sweep import (
    DropReason,
    FocusSample,
    FrameDropped,
    ImageSource,
    SliceAdded,
    SweepAssembler,
    SweepConfig,
    SweepDropped,
    SweepEvent,
    SweepFinished,
    SweepStarted,
)

MILLISECOND = 1_000_000
IMAGES = [
    np.random.default_rng(seed).integers(0, contrast, (4, 6, 3), dtype=np.uint8)
    for seed, contrast in enumerate((10, 100, 255))
]
DROPPED_IMAGES = {DropReason.NO_FOCUS_STATE, DropReason.REPEATED_STAMP, DropReason.OUT_OF_ORDER}
DROPPED_FOCUS_STATES = {DropReason.NO_IMAGE, DropReason.STALE_FOCUS_STATE}


def _broken() -> ImageArray:
    raise MessageError("broken")


HOSTILE_DISTANCES = [math.nan, -1.0, 0.0, -math.inf, 1e-320, 1e-308, 1e308, 0.401, math.pi]

configs = st.builds(
    SweepConfig,
    split=st.sampled_from(["auto", "sweep_id", "reversal", "count", "window"]),
    count=st.integers(3, 5),
    window_stride=st.integers(1, 3),
    min_slices=st.integers(2, 3),
    max_slices=st.integers(5, 7),
    min_dioptre_step=st.sampled_from([0.0, 0.005, 0.3]),
    match_window=st.integers(1, 4),
)


@dataclass
class Message:
    """What is sent, how much time has passed since the message before, and what it says."""

    send: str
    wait: float
    stamp_step: int
    image: ImageSource
    encoding: str
    focus_distance: float
    settled: bool
    sweep_id: int
    sweep_step: int
    sweep_size: int


def messages_of_a_bad_camera(n: int, trouble: float, seed: int) -> list[Message]:
    """A camera that sweeps, each property of a message being wrong with some probability."""
    random = Random(seed)
    n_steps = random.randint(2, 8)
    ping_pong, ids, sizes = (random.random() < 0.5 for _ in range(3))

    def mostly(right: Any, *wrong: Any) -> Any:
        return random.choice(wrong) if random.random() < trouble else right

    messages = []
    for i in range(n):
        sweep, step = divmod(i, n_steps)
        dioptre = 3.0 * (n_steps - 1 - step if ping_pong and sweep % 2 else step) / (n_steps - 1)
        messages.append(
            Message(
                send=mostly("both", "focus first", "image", "focus", "poll"),
                wait=mostly(0.033, 0.0, 0.5, 1.5, -1.0),
                # A step of 0 repeats a stamp, and joins an image and a focus state sent apart.
                stamp_step=mostly(33, 0, 1, -33, -70, -900, -5000, 3000) * MILLISECOND,
                image=mostly(
                    random.choice(IMAGES),
                    lambda: IMAGES[0],
                    IMAGES[0][:3],
                    IMAGES[1][..., 0],
                    _broken,
                ),
                encoding=mostly("rgb8", "bgr8"),
                focus_distance=mostly(1.0 / dioptre if dioptre else math.inf, *HOSTILE_DISTANCES),
                settled=mostly(True, False),
                sweep_id=mostly((sweep + 1) * ids, 0, 1, 2**32 - 1),
                sweep_step=mostly(step, 0, n_steps, 2**32 - 1),
                sweep_size=mostly(n_steps * sizes, 0, 1, 2**32 - 1),
            )
        )
    return messages


class Account:
    """Follows the events as a node does, and holds the sweeps against them."""

    def __init__(self, config: SweepConfig) -> None:
        self.config = config
        self.open: list[Slice] | None = None
        self.used: dict[int, Slice] = {}
        self.lost_with_windows = 0
        self.dropped = dict.fromkeys(DropReason, 0)

    def book(self, event: SweepEvent) -> None:
        if isinstance(event, SweepStarted):
            assert self.open is None, "a sweep began before the last one had ended"
            self.open = []
            self.size = (event.height, event.width)
        elif isinstance(event, SliceAdded):
            self._add(event)
        elif isinstance(event, SweepFinished):
            assert self.open is not None
            assert tuple(self.open) == event.sweep.slices
            self._check(event.sweep.slices)
            assert event.sweep.stack().size == self.size
            self._close()
        else:
            self.dropped[event.reason] += 1
            if isinstance(event, SweepDropped):
                assert event.slices < self.config.min_slices
                if self.config.split == "window":
                    self.lost_with_windows += event.slices
                else:
                    assert self.open is not None
                    assert event.slices == len(self.open)
                    self._close()

    def _add(self, event: SliceAdded) -> None:
        assert self.open is not None
        assert event.slice.size == self.size
        if event.replaces_last:
            assert self.open.pop().focus_distance == event.slice.focus_distance
        self.open.append(event.slice)

    def _close(self) -> None:
        assert self.open is not None
        self.used |= {id(item): item for item in self.open}
        self.open = None

    def _check(self, slices: tuple[Slice, ...]) -> None:
        config = self.config
        assert config.min_slices <= len(slices) <= config.max_slices
        for one, other in itertools.combinations(slices, 2):
            assert abs(one.dioptre - other.dioptre) > config.min_dioptre_step
        stamps = [item.stamp for item in slices]
        assert stamps == sorted(set(stamps))
        if config.split in ("count", "window"):
            assert len(slices) <= config.count
        if config.split == "reversal":
            dioptres = [item.dioptre for item in slices]
            assert dioptres in (sorted(dioptres), sorted(dioptres, reverse=True))


@settings(max_examples=300, deadline=None)
@given(
    config=configs,
    n=st.integers(0, 100),
    trouble=st.sampled_from([0.02, 0.05, 0.2, 0.8]),
    seed=st.integers(0, 2**32),
)
def test_every_message_is_accounted_for(
    config: SweepConfig, n: int, trouble: float, seed: int
) -> None:
    assembler = SweepAssembler(config)
    account = Account(config)
    stamp, now, n_images, n_focus_states = 10_000 * MILLISECOND, 100.0, 0, 0

    def add_image(message: Message) -> list[SweepEvent]:
        nonlocal n_images
        n_images += 1
        image, encoding = message.image, message.encoding
        size = (4, 6) if callable(image) else (image.shape[0], image.shape[1])
        return assembler.add_image(stamp, image, size=size, encoding=encoding, now=now)

    def add_focus(message: Message) -> list[SweepEvent]:
        nonlocal n_focus_states
        n_focus_states += 1
        sample = FocusSample(
            stamp,
            message.focus_distance,
            settled=message.settled,
            sweep_id=message.sweep_id,
            sweep_step=message.sweep_step,
            sweep_size=message.sweep_size,
        )
        return assembler.add_focus(sample, now=now)

    actions = {
        "both": (add_image, add_focus),
        "focus first": (add_focus, add_image),
        "image": (add_image,),
        "focus": (add_focus,),
        "poll": (lambda _: assembler.poll(now=now),),
    }
    for message in messages_of_a_bad_camera(n, trouble, seed):
        stamp += message.stamp_step
        now += message.wait
        for action in actions[message.send]:
            for event in action(message):
                account.book(event)
            assert assembler.images_held <= config.match_window + config.max_slices
    for event in assembler.flush():
        account.book(event)

    assert account.open is None
    assert assembler.images_held == 0
    assert {reason: n for reason, n in account.dropped.items() if n} == dict(assembler.dropped)
    halves = sum(account.dropped[reason] for reason in DROPPED_FOCUS_STATES)
    sweeps = account.dropped[DropReason.TOO_FEW_SLICES]
    images_dropped = sum(account.dropped.values()) - halves - sweeps
    assert n_images == len(account.used) + account.lost_with_windows + images_dropped
    without_focus = sum(account.dropped[reason] for reason in DROPPED_IMAGES)
    assert n_focus_states - halves == n_images - without_focus


@settings(max_examples=100, deadline=None)
@given(
    n_slices=st.integers(4, 12),
    n_sweeps=st.integers(1, 4),
    far_to_near=st.booleans(),
    ping_pong=st.booleans(),
    by_id=st.booleans(),
    lag=st.integers(-3, 3),
)
def test_regular_sweeps_come_out_as_they_went_in(
    n_slices: int, n_sweeps: int, far_to_near: bool, ping_pong: bool, by_id: bool, lag: int
) -> None:
    steps = [float(d) for d in np.linspace(0.0, 3.0, n_slices)]
    steps = steps if far_to_near else steps[::-1]
    sweeps = [steps[::-1] if ping_pong and i % 2 else steps for i in range(n_sweeps)]
    samples: list[FocusSample] = []
    for i, sweep in enumerate(sweeps):
        for step, dioptre in enumerate(sweep):
            stamp = (len(samples) + 1) * 33 * MILLISECOND
            distance = 1.0 / dioptre if dioptre else math.inf
            samples.append(FocusSample(stamp, distance, sweep_id=(i + 1) * by_id, sweep_step=step))

    assembler = SweepAssembler()
    events: list[SweepEvent] = []
    for i in range(-3, len(samples) + 3):
        # One of the two streams lags behind the other by some messages.
        now = i * 0.033
        if 0 <= i < len(samples):
            stamp = samples[i].stamp
            events += assembler.add_image(stamp, IMAGES[0], size=(4, 6), now=now)
        if 0 <= i + lag < len(samples):
            events += assembler.add_focus(samples[i + lag], now=now)
    events += assembler.flush()

    found = [e.sweep.slices for e in events if isinstance(e, SweepFinished)]
    assert len(found) == n_sweeps
    for slices, sweep in zip(found, sweeps, strict=True):
        assert [item.dioptre for item in slices] == pytest.approx(sweep)
    unexpected = [
        e for e in events if isinstance(e, FrameDropped) and e.reason != DropReason.DUPLICATE
    ]
    assert unexpected == []
    turns_repeated = n_sweeps - 1 if ping_pong and not by_id else 0
    assert dict(assembler.dropped) == ({"duplicate": turns_repeated} if turns_repeated else {})
