"""Start depthai-ros on an OAK camera, sweep its focus, and make depth of it.

``ros2 launch focdepth_ros depthai.launch.py lens_map:=lens.yaml``; see docs/sweep_node.md.
"""

from launch import LaunchDescription

from focdepth_ros.ros.driver_launch import CameraDriver, driver_launch_description


def generate_launch_description() -> LaunchDescription:
    return driver_launch_description(
        CameraDriver(
            table="depthai",
            package="depthai_ros_driver",
            executable="camera_node",
            node="oak",
            image_topic="oak/rgb/image_raw",
            # Nothing but the colour camera: its stereo and its networks are not needed.
            parameters={"camera.i_pipeline_type": "RGB", "camera.i_nn_type": "none"},
        )
    )
