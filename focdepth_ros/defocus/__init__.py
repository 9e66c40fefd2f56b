"""Depth from defocus: a forward model of blur, inverted by direct optimisation."""
