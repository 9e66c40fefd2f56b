"""Whether libraries that come only with an extra are installed. None of them is imported here."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

NETWORK_LIBRARIES = ("torch", "timm", "safetensors")
REPORT_LIBRARIES = ("jinja2",)
CLUSTER_LIBRARIES = ("distributed",)
BAG_LIBRARIES = ("rosbags",)
WEB_LIBRARIES = ("gradio",)
EXPORT_LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
VIEWER_LIBRARIES = ("rerun", "rerun_cli")


def missing_because(libraries: Iterable[str], extra: str) -> str | None:
    """Which libraries are not installed and what to do, or None if all are.

    Parameters
    ----------
    libraries : iterable of str
    extra : str
        Of this package, that brings them.
    """
    missing = [name for name in libraries if find_spec(name) is None]
    if not missing:
        return None
    verb = "is" if len(missing) == 1 else "are"
    return f"{', '.join(missing)} {verb} not installed; install focdepth_ros[{extra}]"
