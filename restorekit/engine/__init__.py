"""The diffusion engine: schedules, network, denoisers, operators, methods, samplers, losses.

Nothing in here knows of files, plugins or the command line; it needs torch alone.
Pixels are float tensors of shape (B, C, H, W) on [-1, 1].
"""
