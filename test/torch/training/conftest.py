"""Fixtures of the tests of training."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import write_pool


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return write_pool(tmp_path / "pool")
