"""Weights files as somebody else may have written them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from restorekit import priors

from .networks import LOCAL, random_network

CONFIG = LOCAL["three levels"]
DESCRIBED: dict[str, Any] = {
    "name": "tiny",
    "network": {"widths": [4, 6, 8], "blocks": 1},
    "schedule": "linear",
    "parametrisation": "v",
    "sigma_data": 0.5,
    "training": {"less": 0.3, "crop": 64},
}


def weights() -> dict[str, torch.Tensor]:
    return {k: v.half() for k, v in random_network(CONFIG).state_dict().items()}


def prior(path: Path, tensors: dict[str, torch.Tensor] | None = None, **changed: Any) -> Path:
    """A weights file as somebody else may have written it."""
    told = json.dumps(DESCRIBED | changed)
    save_file(weights() if tensors is None else tensors, path, {priors.KEY: told})
    return path
