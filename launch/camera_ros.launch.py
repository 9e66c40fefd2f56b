"""Start camera_ros, sweep its focus, and make depth of it: cameras of the Raspberry Pi.

``ros2 launch focdepth_ros camera_ros.launch.py near:=0.3 far:=4.0``; see docs/sweep_node.md.
"""

from launch import LaunchDescription

from focdepth_ros.ros.driver_launch import CameraDriver, driver_launch_description


def generate_launch_description() -> LaunchDescription:
    return driver_launch_description(
        CameraDriver(
            table="camera_ros",
            package="camera_ros",
            executable="camera_node",
            node="camera",
            image_topic="camera/image_raw",
        )
    )
