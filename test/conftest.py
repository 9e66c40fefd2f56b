"""Lets tests import the helpers that lie beside them; by hand, as old pytest has no setting."""

import sys
from pathlib import Path

_TORCH = [f"torch/{part}" for part in ("training", "models", "backends", "defocus")]

for suite in ("unit", "ros", "system", *_TORCH):
    sys.path.insert(0, str(Path(__file__).parent / suite))
