"""ROS 2 bags without ROS: read as focus sweeps, and recorded from focal stacks."""
