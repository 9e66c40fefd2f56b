"""Focal stacks with ground truth: one file per dataset, one registry."""
