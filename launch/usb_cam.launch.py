"""Start usb_cam, sweep its focus, and make depth of it: USB cameras.

``ros2 launch focdepth_ros usb_cam.launch.py lens_map:=lens.yaml``; see docs/sweep_node.md.
"""

from launch import LaunchDescription

from focdepth_ros.ros.driver_launch import CameraDriver, driver_launch_description


def generate_launch_description() -> LaunchDescription:
    return driver_launch_description(
        CameraDriver(
            table="usb_cam",
            package="usb_cam",
            executable="usb_cam_node_exe",
            node="usb_cam",
            image_topic="image_raw",
        )
    )
