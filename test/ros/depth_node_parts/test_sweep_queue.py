from __future__ import annotations

import gc
import threading
import time
import weakref

import numpy as np

from focdepth_ros.ros.depth_node_parts.sweep_queue import QueuedSweep, SweepQueue
from focdepth_ros.stack import Slice
from focdepth_ros.sweep_parts.types import Sweep

PATIENCE = 20.0


def slice_at(distance: float) -> Slice:
    return Slice(np.zeros((4, 4), np.uint8), distance)


def put_sweep(queue: SweepQueue, first_distance: float, frame_id: str = "") -> QueuedSweep | None:
    slices = tuple(slice_at(first_distance + i) for i in range(3))
    queue.start(4, 4, frame_id)
    for i, item in enumerate(slices):
        queue.add(item, now=float(i))
    return queue.finish(Sweep(slices, "complete"))


class Worker:
    """Takes everything out of a queue in a thread of its own."""

    def __init__(self, queue: SweepQueue) -> None:
        self.distances: list[list[float | None]] = []
        self.finished: list[Sweep | None] = []
        self.progress = threading.Semaphore(0)
        self._queue = queue
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (sweep := self._queue.next()) is not None:
            self.distances.append([])
            for item in sweep:
                self.distances[-1].append(item.focus_distance)
                self.progress.release()
            self.finished.append(sweep.finished)
            self.progress.release()

    def wait(self, steps: int) -> None:
        for _ in range(steps):
            assert self.progress.acquire(timeout=PATIENCE)

    def join(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


def test_slices_are_worked_on_while_the_sweep_comes_in() -> None:
    queue = SweepQueue()
    worker = Worker(queue)
    slices = tuple(map(slice_at, (1.0, 2.0, 3.0)))
    queue.start(4, 4, "")
    for item in slices:
        queue.add(item, now=0.0)
        worker.wait(1)
    assert worker.distances == [[1.0, 2.0, 3.0]]
    assert worker.finished == []
    sweep = Sweep(slices, "complete")
    queue.finish(sweep)
    worker.wait(1)
    assert worker.finished == [sweep]
    queue.close()
    worker.join()


def test_a_sweep_knows_where_it_comes_from() -> None:
    queue = SweepQueue()
    put_sweep(queue, 1.0, "left")
    sweep = queue.next()
    assert sweep is not None
    assert (sweep.height, sweep.width, sweep.frame_id) == (4, 4, "left")
    assert (sweep.sequence, sweep.last_arrival) == (1, 2.0)


def test_a_slice_that_waits_is_replaced() -> None:
    queue = SweepQueue()
    queue.start(4, 4, "")
    for distance, replaces in ((1.0, False), (2.0, False), (2.5, True)):
        queue.add(slice_at(distance), replaces_last=replaces, now=0.0)
    queue.finish(Sweep((slice_at(1.0), slice_at(2.5)), "complete"))
    sweep = queue.next()
    assert sweep is not None
    assert [item.focus_distance for item in sweep] == [1.0, 2.5]


def test_the_oldest_that_waits_is_dropped() -> None:
    queue = SweepQueue(max_waiting=1)
    assert put_sweep(queue, 1.0) is None
    in_work = queue.next()
    assert in_work is not None
    assert put_sweep(queue, 11.0) is None
    dropped = put_sweep(queue, 21.0)
    assert dropped is not None
    assert (dropped.sequence, dropped.finished) == (2, None)
    assert in_work.finished is not None  # what is being worked on is left alone
    following = queue.next()
    assert following is not None
    assert following.sequence == 3
    assert [item.focus_distance for item in following] == [21.0, 22.0, 23.0]


def test_sweeps_under_way_are_counted() -> None:
    queue = SweepQueue(max_waiting=2)
    assert queue.under_way == 1  # the worker has yet to get ready
    put_sweep(queue, 1.0)
    put_sweep(queue, 2.0)
    assert queue.under_way == 3
    queue.start(4, 4, "")
    assert queue.under_way == 4
    queue.abandon()
    worker = Worker(queue)
    worker.wait(8)
    for _ in range(1000):
        if queue.under_way == 0:
            break
        time.sleep(0.01)
    assert queue.under_way == 0
    queue.close()
    worker.join()


def test_an_abandoned_sweep_ends_without_result() -> None:
    queue = SweepQueue()
    worker = Worker(queue)
    queue.start(4, 4, "")
    queue.add(slice_at(1.0), now=0.0)
    worker.wait(1)
    queue.abandon()
    worker.wait(1)
    assert worker.finished == [None]
    put_sweep(queue, 5.0)
    worker.wait(4)
    assert worker.distances[1] == [5.0, 6.0, 7.0]
    queue.close()
    worker.join()


def test_an_abandoned_sweep_that_waits_is_forgotten() -> None:
    queue = SweepQueue()
    queue.start(4, 4, "")
    queue.add(slice_at(1.0), now=0.0)
    queue.abandon()
    put_sweep(queue, 5.0)
    sweep = queue.next()
    assert sweep is not None
    assert [item.focus_distance for item in sweep] == [5.0, 6.0, 7.0]


def test_closing_ends_a_worker_in_the_middle_of_a_sweep() -> None:
    queue = SweepQueue()
    worker = Worker(queue)
    queue.start(4, 4, "")
    queue.add(slice_at(1.0), now=0.0)
    worker.wait(1)
    queue.close()
    worker.join()
    assert worker.finished == [None]
    queue.add(slice_at(2.0), now=0.0)  # what still comes is of no consequence
    assert queue.finish(Sweep((slice_at(1.0), slice_at(2.0)), "complete")) is None


def test_slices_of_dropped_sweeps_are_not_kept() -> None:
    queue = SweepQueue(max_waiting=2)
    slices: list[weakref.ref[Slice]] = []
    for start in range(1, 40, 4):
        item, other = slice_at(start), slice_at(start + 1.0)
        slices += [weakref.ref(item), weakref.ref(other)]
        queue.start(4, 4, "")
        queue.add(item, now=0.0)
        queue.add(other, now=0.0)
        queue.finish(Sweep((item, other), "complete"))
    del item, other
    gc.collect()
    assert sum(reference() is not None for reference in slices) == 2 * 2
