"""The parts of `depth_node`."""
