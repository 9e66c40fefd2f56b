"""The messages of focus sweeps for rosbags, which needs no ROS to read and write them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from focdepth_ros.errors import BagError
from focdepth_ros.libraries import BAG_LIBRARIES, missing_because

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
FOCUS_STATE = "focdepth_ros/msg/FocusState"
TRANSFORMS = "tf2_msgs/msg/TFMessage"

#: ``msg/FocusState.msg`` without its comments, which is not there where messages are not built.
FOCUS_STATE_DEFINITION = """\
std_msgs/Header header
float64 focus_distance
float64 lens_position
string lens_position_unit
bool settled
uint32 sweep_id
uint32 sweep_step
uint32 sweep_size
"""

_HEADER, _TIME = "std_msgs/msg/Header", "builtin_interfaces/msg/Time"
_REGION = "sensor_msgs/msg/RegionOfInterest"
_GEOMETRY = (
    "geometry_msgs/msg/TransformStamped",
    "geometry_msgs/msg/Transform",
    "geometry_msgs/msg/Vector3",
    "geometry_msgs/msg/Quaternion",
)
#: Messages that are read.
READ = (IMAGE, COMPRESSED_IMAGE, CAMERA_INFO, FOCUS_STATE, TRANSFORMS)
_NEEDED = (*READ, _HEADER, _TIME, _REGION, *_GEOMETRY)


def require_rosbags() -> None:
    """Say what to install where rosbags is not.

    Raises
    ------
    BagError
    """
    missing = missing_because(BAG_LIBRARIES, "bags")
    if missing is not None:
        raise BagError(f"no bag can be read or written here: {missing}")


def message_types(of_bag: Mapping[str, Any] | None = None) -> Any:
    """Types of rosbags, with the definitions of a bag in place of ours where it has them."""
    ours = _our_types()
    changed = {k: v for k, v in (of_bag or {}).items() if _fields(v) != _fields(ours.get(k))}
    return _store_of({**ours, **changed}) if changed else _our_store()


@lru_cache(maxsize=1)
def _our_types() -> dict[str, Any]:
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    types = dict(get_typestore(Stores.ROS2_JAZZY).fielddefs)
    types.update(get_types_from_msg(FOCUS_STATE_DEFINITION, FOCUS_STATE))
    return {name: types[name] for name in _NEEDED}


@lru_cache(maxsize=1)
def _our_store() -> Any:
    return _store_of(_our_types())


def _store_of(types: Mapping[str, Any]) -> Any:
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.EMPTY)
    store.register(types)
    return store


def _fields(definition: Any) -> Any:
    """Names and types of the fields of a message; constants do not matter."""
    return None if definition is None else list(definition[1])
