"""The ROS 2 nodes, one per file; nothing else in the package imports ROS.

Here are the nodes, the demonstration and what launch files use. In the packages below are the
parameters of each node (`parameters`), what every node has (`node_support`), the parts of the
larger nodes, and how other nodes take in what `depth_node` publishes (`listening`).
"""
