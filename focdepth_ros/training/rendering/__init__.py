"""Random scenes and sweeps rendered in torch, on the device that trains."""
