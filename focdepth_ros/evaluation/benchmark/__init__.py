"""Backends against each other on one machine: accuracy, times and memory."""
