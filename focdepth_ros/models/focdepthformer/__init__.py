"""FocDepthFormer: a vision transformer per slice, a latent LSTM over the sweep, a CNN decoder."""
