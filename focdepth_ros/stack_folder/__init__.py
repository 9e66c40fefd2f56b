"""Focal stacks on disk: a folder of images and, where more is known, a ``stack.yaml``."""
