"""The parts of `sweep_node`."""
