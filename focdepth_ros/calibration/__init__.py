"""Calibration of a lens from its own focus sweeps: what positions mean, and how the image grows."""
