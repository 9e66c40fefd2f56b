"""Start v4l2_camera, sweep its focus, and make depth of it: USB cameras.

``ros2 launch focdepth_ros v4l2_camera.launch.py lens_map:=lens.yaml``; see docs/sweep_node.md.
"""

from launch import LaunchDescription

from focdepth_ros.ros.driver_launch import CameraDriver, driver_launch_description


def generate_launch_description() -> LaunchDescription:
    return driver_launch_description(
        CameraDriver(
            table="v4l2_camera",
            package="v4l2_camera",
            executable="v4l2_camera_node",
            node="v4l2_camera",
            image_topic="image_raw",
        )
    )
