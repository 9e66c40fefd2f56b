"""`uvc_camera_node` with a simulated camera; what becomes of its controls is in its last line.

FOCUS_STEP is from one focus position of the camera to the next.
"""

from __future__ import annotations

import os
import sys

from simulated_uvc_device import SimulatedUvcDevice

from focdepth_ros.lens.camera_device import DeviceSettings
from focdepth_ros.ros.uvc_camera_node import main

if __name__ == "__main__":
    made: list[SimulatedUvcDevice] = []

    def make_device(settings: DeviceSettings) -> SimulatedUvcDevice:
        step = float(os.environ.get("FOCUS_STEP", "1"))
        made.append(SimulatedUvcDevice(settings, step=step))
        return made[-1]

    exit_code = main(make_device=make_device)
    for device in made:
        controls = device.controls.items()
        print("controls at the end:", {control.name: value for control, value in controls})
    sys.exit(exit_code)
