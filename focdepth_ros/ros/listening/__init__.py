"""How other nodes take in what `depth_node` publishes."""
