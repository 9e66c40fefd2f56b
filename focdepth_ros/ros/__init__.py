"""The ROS 2 nodes, one per file; nothing else in the package imports ROS."""
