"""The parameters of each node; ``config/`` has a file for each, with the defaults."""
