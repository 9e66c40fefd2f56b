"""Where the files of ``config/`` are: beside the sources, or where the package is installed."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory


def config_folder() -> Path:
    """The folder ``config``; it need not exist where the package is installed in part."""
    beside_sources = Path(__file__).parents[2] / "config"
    if beside_sources.is_dir():
        return beside_sources
    try:
        return Path(get_package_share_directory("focdepth_ros"), "config")
    except PackageNotFoundError:
        return beside_sources
