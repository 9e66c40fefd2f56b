"""Where the files of ``config/`` are: beside the sources, or where the package is installed."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__)


def config_folder() -> Path:
    """The folder ``config``; it need not exist where the package is installed in part."""
    beside_sources = _HERE.parents[1] / "config"
    # PREFIX/lib/…/focdepth_ros, by whatever tool, has PREFIX/share/focdepth_ros.
    installed = (folder / "share" / "focdepth_ros" / "config" for folder in _HERE.parents)
    found = (folder for folder in (beside_sources, *installed) if folder.is_dir())
    return next(found, beside_sources)
