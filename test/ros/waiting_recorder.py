"""`target_recorder` at a terminal where nobody types anything."""

from __future__ import annotations

import os
import sys

from focdepth_ros.ros.target_recorder import main

if __name__ == "__main__":
    typed, _ = os.pipe()
    os.dup2(typed, sys.stdin.fileno())
    sys.exit(main())
