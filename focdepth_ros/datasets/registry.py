"""Datasets by name. The module of a dataset is imported only when it is asked for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from focdepth_ros.datasets.base import Dataset
from focdepth_ros.errors import DatasetError

_DATASETS = {
    "ddff12": "ddff12:Ddff12",
    "fod500": "fod500:Fod500",
    "light_field_4d": "light_field_4d:LightField4d",
    "mobile_depth": "mobile_depth:MobileDepth",
    "nyu_depth_v2": "nyu_depth_v2:NyuDepthV2",
    "make3d": "make3d:Make3d",
    "middlebury": "middlebury:Middlebury",
    "flying_things_3d": "flying_things_3d:FlyingThings3d",
    "diode": "diode:Diode",
    "icl_nuim": "icl_nuim:IclNuim",
    "7scenes": "seven_scenes:SevenScenes",
    "tum_rgbd": "tum_rgbd:TumRgbd",
    "inria_3d_movie": "inria_3d_movie:Inria3dMovie",
    "posetrack": "posetrack:PoseTrack",
    "fusion_folders": "fusion_folders:FusionFolders",
    "stack_folders": "stack_folders:StackFolders",
    "bag": "bag_sweeps:BagSweeps",
}


def dataset_names() -> tuple[str, ...]:
    """Names of all datasets."""
    return tuple(_DATASETS)


def dataset_class(name: str) -> type[Dataset]:
    """The class of a dataset.

    Raises
    ------
    DatasetError
        If there is none of that name.
    """
    if name not in _DATASETS:
        raise DatasetError(f"there is no dataset '{name}'; choose one of {', '.join(_DATASETS)}")
    module, attribute = _DATASETS[name].split(":")
    found: type[Dataset] = getattr(import_module(f"focdepth_ros.datasets.{module}"), attribute)
    return found


def open_dataset(name: str, root: Path | str, split: str | None = None, **options: Any) -> Dataset:
    """Open a dataset where it lies on disk.

    Parameters
    ----------
    name : str
        One of `dataset_names`.
    root : path-like
        Its folder, or the file that holds it.
    split : str, optional
        The first of its splits by default.
    **options
        Further ones that its class takes.

    Raises
    ------
    DatasetError
        If there is no such dataset, split, or folder, or none of its scenes is there.
    """
    return dataset_class(name)(root, split, **options)
