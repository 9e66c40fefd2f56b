"""Lets tests import the helpers that lie beside them; by hand, as old pytest has no setting."""

import sys
from pathlib import Path

for suite in ("unit", "ros", "system", "torch/training", "torch/models", "torch/backends"):
    sys.path.insert(0, str(Path(__file__).parent / suite))
