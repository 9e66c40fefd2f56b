"""Metric depth from one ordinary camera whose focus moves."""

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from focdepth_ros.backends.registry import create_backend
    from focdepth_ros.estimate import DepthEstimate
    from focdepth_ros.pipeline import DepthPipeline
    from focdepth_ros.stack import CameraIntrinsics, FocalStack, Lens, Slice
    from focdepth_ros.stack_folder.reading import load_ground_truth, load_stack
    from focdepth_ros.stack_folder.saving import save_stack

__all__ = [
    "CameraIntrinsics",
    "DepthEstimate",
    "DepthPipeline",
    "FocalStack",
    "Lens",
    "Slice",
    "create_backend",
    "load_ground_truth",
    "load_stack",
    "save_stack",
]

# The generated messages (focdepth_ros.msg) and the compiled graph cut are installed, not in the
# source tree: where both are on the path, this lets one find what is only in the other.
__path__ = pkgutil.extend_path(__path__, __name__)

__version__ = "0.1.0"

_MODULES = {
    "CameraIntrinsics": "stack",
    "DepthEstimate": "estimate",
    "DepthPipeline": "pipeline",
    "FocalStack": "stack",
    "Lens": "stack",
    "Slice": "stack",
    "create_backend": "backends.registry",
    "load_ground_truth": "stack_folder.reading",
    "load_stack": "stack_folder.reading",
    "save_stack": "stack_folder.saving",
}

if not TYPE_CHECKING:  # type checkers would take this for a promise of every name

    def __getattr__(name: str) -> Any:
        # Who only wants the messages or the version does not wait for OpenCV.
        if name not in _MODULES:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value
