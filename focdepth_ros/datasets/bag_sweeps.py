"""The focus sweeps of ROS 2 bags with ground truth, to evaluate on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from focdepth_ros.bags.reading import BAG_SUFFIXES
from focdepth_ros.bags.sweeps import BagContents, BagSweep, find_sweeps, lack_of_truth
from focdepth_ros.bags.topics import BagSettings
from focdepth_ros.bags.unpacking import METADATA, state_of
from focdepth_ros.datasets.base import Dataset, LabelledStack
from focdepth_ros.errors import BagError, MessageError

_MOST_LEVELS = 3  # below the root
LEFT_OUT = "left_out"
"""Name of the scene that stands for what of a bag is in no sweep; to load it fails."""


@dataclass(frozen=True)
class _Place:
    """A sweep of a bag; without one what the bag lacks."""

    contents: BagContents | None = None
    sweep: BagSweep | None = None
    fault: str = ""


class BagSweeps(Dataset):
    """A bag, or a folder of bags, up to three levels deep.

    A scene is a focus sweep as `depth_node` would put it together, named ``[BAG/]sweep_0001``;
    its truth is the depth that is nearest in time to the reference slice. What a bag lacks is a
    scene of its own, ``[BAG/]left_out``, that cannot be loaded, so that an evaluation names it.

    Parameters
    ----------
    root, split
        See `Dataset`.
    settings : BagSettings, optional
    """

    name = "bag"
    title = "ROS 2 bags"
    homepage = "your own camera, or `focdepth bag record`"
    licence = "your own, or that of who recorded them"
    layout = "\n".join(
        ("[GROUP/[GROUP/]][BAG/]metadata.yaml (SQLite or MCAP)", "[GROUP/]BAG.mcap or BAG.db3")
    )
    measured = "whatever depth was recorded with them"

    def __init__(
        self, root: Path | str, split: str | None = None, *, settings: BagSettings | None = None
    ) -> None:
        self._settings = BagSettings() if settings is None else settings
        super().__init__(root, split)

    def _find_scenes(self) -> Sequence[str]:
        self._places: dict[str, _Place] = {}
        if _is_bag(self.root):
            self._add(self.root, "")
        elif self.root.is_file():
            find_sweeps(self.root, self._settings)  # says what is wrong with it
        else:
            for bag in _bags_below(self.root, _MOST_LEVELS):
                self._add(bag, f"{bag.relative_to(self.root).as_posix()}/")
        if not any(place.sweep for place in self._places.values()):
            faults = [place.fault for place in self._places.values()]
            if faults or (self.root / METADATA).exists():
                raise BagError("; ".join(faults))
        return tuple(self._places)

    def _load(self, scene: str) -> LabelledStack:
        place = self._places[scene]
        if place.contents is None or place.sweep is None:
            raise BagError(place.fault)
        try:
            stack, depth = place.contents.load(place.sweep)
        except MessageError as error:
            raise BagError(f"{place.contents.path}: {error}") from error
        if depth is None:
            raise BagError(lack_of_truth(place.contents, place.sweep))
        return LabelledStack(scene, stack, depth)

    def _add(self, bag: Path, prefix: str) -> None:
        try:
            contents = cached_sweeps(bag, self._settings)
        except BagError as error:
            self._places[prefix + LEFT_OUT] = _Place(fault=str(error))
            return
        for number, sweep in enumerate(contents.sweeps, start=1):
            self._places[f"{prefix}{sweep_name(number)}"] = _Place(contents, sweep)
        faults = contents.left_out
        if not contents.sweeps:
            dropped = ", ".join(f"{n} by '{why}'" for why, n in contents.dropped.items())
            faults = (f"no focus sweep in it; left out: {dropped or 'nothing'}", *faults)
        if faults:
            fault = f"{bag}: " + "; ".join(faults)
            self._places[prefix + LEFT_OUT] = _Place(contents, fault=fault)


def sweep_name(number: int) -> str:
    """Name of the sweep of this number in its bag, from 1."""
    return f"sweep_{number:04d}"


def cached_sweeps(bag: Path, settings: BagSettings) -> BagContents:
    """As `find_sweeps`, which takes its time, but once as long as the bag is not changed."""
    return _sweeps_of(bag, settings, state_of(bag))


@lru_cache(maxsize=32)
def _sweeps_of(bag: Path, settings: BagSettings, state: object) -> BagContents:
    return find_sweeps(bag, settings)


def _is_bag(path: Path) -> bool:
    if path.is_file():
        return path.suffix in BAG_SUFFIXES
    if not path.is_dir():  # such as a link to what is no longer there
        return False
    # Its recorder was killed if it has no metadata: a bag all the same, one with a fault.
    return (path / METADATA).is_file() or any(
        file.suffix in BAG_SUFFIXES for file in path.iterdir() if file.stem.startswith(path.name)
    )


def _bags_below(folder: Path, levels: int) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if _is_bag(path):
            yield path
        elif path.is_dir() and levels > 1:
            yield from _bags_below(path, levels - 1)
