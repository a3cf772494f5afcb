"""The page on one's own model: its code runs, on stand-ins with the libraries' signatures."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import restorekit
from restorekit.priors import Prior

PAGE = Path(__file__).parent.parent / "docs" / "your-model-as-a-prior.md"
PHOTO = np.random.default_rng(0).normal(0.5, 0.1, (40, 52, 3)).clip(0, 1).astype(np.float32)


def module(answer: Any) -> type[nn.Module]:
    """A class of networks that take any configuration and answer so."""

    class Network(nn.Module):
        def __init__(self, **configuration: Any) -> None:
            super().__init__()

        def forward(self, *arguments: Any) -> Tensor:
            return answer(*arguments)

    return Network


def by_level(x: Tensor, sigma: float) -> Tensor:
    """deepinv's: a float for all pictures, sides as `multiple` has them."""
    assert isinstance(sigma, float) and x.shape[2] % 8 == x.shape[3] % 8 == 0
    return torch.lerp(x, x.mean((2, 3), keepdim=True), min(4 * sigma, 1.0))


def by_tensor(x: Tensor, sigma: Tensor) -> Tensor:
    """KAIR's FFDNet."""
    assert sigma.shape == (len(x), 1, 1, 1)
    return torch.lerp(x, x.mean((2, 3), keepdim=True), (4 * sigma).clamp(max=1))


def by_itself(x: Tensor) -> Tensor:
    """A blind one; or a DRUNet without a wrapper, whose fourth channel is the level."""
    return (x[:, :3] + x[:, :3].mean((2, 3), keepdim=True)) / 2


class Loader:
    def load_from_file(self, path: str) -> Any:
        assert path.endswith(".pth")
        return type("Descriptor", (), {"model": module(by_itself)()})


def test_the_pages_code(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, held in {
        "deepinv": {"models": type("Models", (), {"DRUNet": module(by_level)})},
        "models": {},
        "models.network_ffdnet": {"FFDNet": module(by_tensor)},
        "models.network_dncnn": {"DnCNN": module(by_itself)},
        "spandrel": {"ModelLoader": Loader},
    }.items():
        stand_in = ModuleType(name)
        vars(stand_in).update(held)
        monkeypatch.setitem(sys.modules, name, stand_in)
    monkeypatch.setattr(torch, "load", lambda *_, **__: {})
    names: dict[str, Any] = {"model": module(by_level)(), "photo": PHOTO, "__file__": __file__}
    names["loaded"] = lambda device: module(by_level)().to(device)
    names["model"].forward = lambda x, _: by_itself(x)
    found: list[Prior] = []
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(code, names)
        offered = names["restorekit_priors"]() if "restorekit_priors" in code else {}
        named = [names["prior"], *offered.values(), names.get("blind")]
        found += [prior for prior in named if prior is not None and prior not in found]
    assert names["larger"].shape == (80, 104, 3) and len(found) == 7
    for prior in found:
        if prior.name == "denoise":  # whose file is not there
            continue
        restored = restorekit.restore("denoise", PHOTO, sigma=0.1, prior=prior)
        assert restored.std() < 0.9 * PHOTO.std()
