"""Lets tests import the helpers that lie beside them; by hand, as old pytest has no setting."""

import sys
from pathlib import Path

from hypothesis import settings

_TORCH = [f"torch/{part}" for part in ("training", "models", "backends", "defocus")]

for suite in ("unit", "ros", "system", *_TORCH):
    sys.path.insert(0, str(Path(__file__).parent / suite))

# How long an example takes says nothing: machines are busy.
settings.register_profile("focdepth", deadline=None)
settings.load_profile("focdepth")
