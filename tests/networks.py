"""Small networks for tests of denoisers."""

from __future__ import annotations

import torch

from restorekit.engine.unet import UNet, UNetConfig

LOCAL = {
    "three levels": UNetConfig(widths=(4, 6, 8), blocks=1),
    "uneven": UNetConfig(widths=(4, 4), blocks=(2, 1)),
    "naf": UNetConfig(widths=(4, 6), blocks=3, block="naf"),
    "unshuffled": UNetConfig(widths=(4, 8), blocks=1, unshuffle=2),
}


def random_network(config: UNetConfig) -> UNet:
    """With weights that make every layer matter (some start at zero)."""
    torch.manual_seed(0)
    network = UNet(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter) / parameter[0].numel() ** 0.5)
    return network.double().eval()
