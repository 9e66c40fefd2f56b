"""Depth, confidence, all-in-focus image and cloud in a Rerun viewer; no ROS in it.

Rerun (the package rerun-sdk, extra ``view``) brings a viewer that runs in a browser and needs
nothing from outside. Only the modules of this package use it, and import it when they do.
"""
