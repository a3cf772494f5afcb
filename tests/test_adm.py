"""Checkpoints of guided-diffusion as priors, against the paper's own equations."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("diffusers", reason="diffusers is not installed: restorekit[diffusers]")

from restorekit import files

from .adm import ADM
from .diffused import Drawn, check_restores, gap, opened, reason

SIZES = {
    "two levels": {},
    "three levels": {"mult": (1, 1, 2), "blocks": 1, "attends": "  a"},
    "attention everywhere": {"mult": (1, 2), "blocks": 3, "attends": "aa"},
}


def adm(**settings: Any) -> ADM:
    """With weights that make every layer matter."""
    torch.manual_seed(0)
    network = ADM(**settings).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network


@torch.no_grad()
@pytest.mark.parametrize("size", SIZES)
def test_the_network_is_that_of_the_paper(here: Path, size: str) -> None:
    network = adm(**SIZES[size])
    archive = size != "two levels"  # else as torch wrote files before 1.6
    torch.save(network.state_dict(), "adm.pt", _use_new_zipfile_serialization=archive)
    denoiser = opened("./adm.pt")
    x_t = Drawn().like(torch.empty(2, 3, 16, 16))
    for k in (0, 250, 700):
        out, fraction = network(x_t, torch.full((2,), float(k))).chunk(2, dim=1)
        alpha, sigma = (float(v) for v in denoiser.schedule((k + 1) / 1000))
        ours = denoiser(x_t, torch.tensor((k + 1) / 1000))
        assert gap(ours.x_0, ((x_t - sigma * out) / alpha).clamp(-1, 1)) < 1e-4
        assert gap(ours.variance_fraction, (fraction + 1) / 2) < 1e-4
    assert denoiser.window == 4 * 2 ** len(network.mult)


def test_photos_are_restored_through_a_path(here: Path) -> None:
    network = adm(mult=(1, 1, 1, 1), blocks=1, attends="   a")
    torch.save(network.state_dict(), "adm.pt")
    check_restores("adm.pt", "denoise --sigma 25")


def test_what_is_no_prior_says_why(here: Path) -> None:
    state = adm().state_dict()
    torch.save({**state, "label_emb.weight": torch.zeros(1000, 256)}, "classes.pt")
    assert "told a class" in reason("classes.pt")
    torch.save({**state, "output_blocks.2.2.conv.weight": torch.zeros(1)}, "improved.pt")
    assert "attention heads" in reason("improved.pt", load=True)
    names = ["input_blocks.0.0.weight", "middle_block.0.in_layers.0.weight", "time_embed.0.weight"]
    held = {**dict.fromkeys(names, 0), "run": print}
    files.write(Path("evil.pt"), pickle.dumps(held, protocol=2))
    assert "more than weights" in reason("evil.pt", load=True)
