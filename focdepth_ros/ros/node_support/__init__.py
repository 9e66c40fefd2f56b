"""What every node has: its start and end, its state, and how it tells of it."""
