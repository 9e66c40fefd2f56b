"""Training of the networks: data rendered on the fly, losses, configuration, one loop."""
