"""Depth backends: the interface, the registry, and one small file per backend."""
