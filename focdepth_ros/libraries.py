"""Whether libraries that come only with an extra are installed. None of them is imported here."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

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
    return f"{', '.join(missing)} {verb} not installed; {how_to_install(extra)}"


def how_to_install(extra: str) -> str:
    """A command that brings an extra of this package, which need not be on a package index.

    Parameters
    ----------
    extra : str
        Such as ``torch``: one of ``requirements/*.txt``.
    """
    listed = Path(__file__).resolve().parents[1] / "requirements" / f"{extra}.txt"
    if not listed.is_file():  # installed without its sources
        return f"pip install 'focdepth_ros[{extra}]'"
    return f"pip install -r {_shortest(listed)}"


def _shortest(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
