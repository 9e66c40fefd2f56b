"""Depth against ground truth: the measures."""
