"""`depth_node` with backends that break; BROKEN_FALLBACKS: so do those that it falls back to."""

from __future__ import annotations

import os
import sys

from focdepth_ros.backends import registry
from focdepth_ros.ros.depth_node import main

if __name__ == "__main__":
    registry._BACKENDS["failing"] = "failing_backend:FailingBackend"
    registry._BACKENDS["lost"] = "failing_backend:LostBackend"
    registry._BACKENDS["moody"] = "failing_backend:MoodyBackend"
    for name in os.environ.get("BROKEN_FALLBACKS", "").split():
        registry._BACKENDS[name] = "failing_backend:BrokenBackend"
    sys.exit(main())
