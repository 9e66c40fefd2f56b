"""Depth from focus without learning: focus measure, graph cut, refinement, all-in-focus."""
