"""Crops that the network itself restores up to one of its steps."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from restorekit import priors
from restorekit.engine.blur import Blur
from restorekit.engine.conditioning import Observation, diffpir
from restorekit.engine.denoiser import NetworkDenoiser, Prediction
from restorekit.engine.noise import Noise
from restorekit.engine.operators import LinearOperator, Resample
from restorekit.engine.sampler import STEPS, sample
from restorekit.engine.schedule import linear
from restorekit.engine.unet import UNetConfig
from restorekit.errors import RestorekitError
from restorekit.training import draws, unfold
from restorekit.training.settings import Settings
from restorekit.training.trainer import train

from ..networks import random_network
from .tiny import TINY

SETTINGS = dataclasses.replace(
    TINY, network=UNetConfig(widths=(4, 6), blocks=1, mapped=True), holes=0.4, unfold=1.0
)
LEVELS = SETTINGS.unfold_levels


def crops() -> Tensor:
    source = torch.Generator().manual_seed(1)
    coarse = torch.rand(4, 3, 8, 8, generator=source, dtype=torch.float64)
    return Resample((8, 8), (32, 32))(coarse).mul(1.6).sub(0.8)


def restored(step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Crops 0 and 1 are free, 2 has a torn corner with a guess, 3 is photographed."""
    denoiser = NetworkDenoiser(random_network(SETTINGS.network), linear(), mapped=True)
    x_0 = crops()
    faults, holes = torch.zeros_like(x_0), torch.ones(4, 1, 32, 32, dtype=torch.bool)
    holes[2] = False
    holes[2, :, :9, :9] = True
    faults[2, :, :9, :9], faults[3] = 0.3, 0.1
    t, eps = draws.times(SETTINGS, denoiser.schedule, step), torch.randn_like(x_0)
    t, eps = draws.of_holes(denoiser.schedule, t, eps, holes, faults)
    found = unfold.unfolded(denoiser, x_0, t, eps, SETTINGS, step, faults=faults, holes=holes)
    again = unfold.unfolded(denoiser, x_0, t, eps, SETTINGS, step, faults=faults, holes=holes)
    assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True)), "of its step alone"
    assert torch.equal(found[0][3], t[3]) and torch.equal(found[1][3], eps[3]), "has faults already"
    return x_0, *found, holes


@pytest.mark.parametrize(
    ("blurred", "kind", "close"), [(0.0, Resample, 1e-5), (1.0, Blur, 2 / 255)]
)
def test_states_agree_with_what_was_seen(
    blurred: float, kind: type[LinearOperator], close: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reduced or blurred, a state is what was seen, before each step; around a hole, the crop.

    But for rounding, which no blur would have left in what it takes away.
    """
    monkeypatch.setattr(unfold, "NOISY", 0.0)
    monkeypatch.setattr(unfold, "BLURRED", blurred)
    monkeypatch.setattr(unfold, "BLURRED_NOISE", (1e-4, 1e-4))
    seen: list[tuple[LinearOperator, Tensor]] = []
    project = kind.project
    monkeypatch.setattr(
        kind, "project", lambda a, z, y, rho: seen.append((a, y)) or project(a, z, y, rho)
    )
    schedule, stages = linear(), set()
    for step in range(12):
        seen.clear()
        x_0, t, eps, holes = restored(step)
        ratio = schedule.noise_to_signal(t)
        state = x_0 + ratio * eps
        told = ratio.flatten(1).amax(1)
        for level in told[:3].tolist():
            assert min(abs(level - known) for known in LEVELS) < 1e-3
        if seen:
            operator, y = seen[-1]
            torch.testing.assert_close(operator(state[:2]), y, atol=close, rtol=0)
            grid = (y + 1) * 127.5
            torch.testing.assert_close(grid, grid.round(), atol=0.1, rtol=0)
        assert (t[2][~holes[2]] == 0).all() and (t[2][holes[2]] > 0).all()
        torch.testing.assert_close(state[2, :, ~holes[2, 0]], x_0[2, :, ~holes[2, 0]])
        stages.add(round(float(told[0]), 3))
    assert len(stages) == len(LEVELS), "every step has its turn"


def test_a_state_is_what_the_network_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the same steps as a restoration takes, whatever they carry on."""
    monkeypatch.setattr(unfold, "BLURRED", 0.0)
    seen: list[Observation] = []
    monkeypatch.setattr(unfold, "diffpir", lambda p, s: seen.append(s) or diffpir(p, s))
    denoiser = NetworkDenoiser(random_network(SETTINGS.network), linear(), mapped=True)
    times = denoiser.schedule.time_for(torch.tensor(LEVELS, dtype=torch.float64))
    times = torch.cat([times, torch.zeros(1)])
    stages = set()
    for step in range(8):
        x_0, t, eps, _ = restored(step)
        observed = seen.pop()
        y, side = observed.y, x_0.shape[-1]
        guess = Resample((y.shape[2], y.shape[3]), (side, side))(y)
        asked: list[Tensor] = []

        class Noting:
            schedule = denoiser.schedule
            variance = denoiser.variance

            def __call__(self, x_t: Tensor, t: Tensor, asked: list[Tensor] = asked) -> Prediction:
                asked.append(x_t)
                return denoiser(x_t, t)

        first = denoiser.schedule(times[0])[0].to(guess) * guess
        sample(diffpir(Noting(), observed), first, times, step=STEPS["hqs"], noise=Noise(0))
        ratio = denoiser.schedule.noise_to_signal(t)[:2]
        stage = min(range(4), key=lambda n: abs(LEVELS[n] - float(ratio.max())))
        alpha = denoiser.schedule(times[stage])[0]
        state = x_0[:2] + ratio.flatten(1).amax(1)[:, None, None, None] * eps[:2]
        torch.testing.assert_close(asked[stage], alpha.to(state) * state, atol=1e-5, rtol=0)
        stages.add(stage)
    assert stages > {2, 3}, "those that momentum bears on"


def test_unfolded_training_runs_and_its_settings_are_checked(photos: Path, tmp_path: Path) -> None:
    before = train(dataclasses.replace(SETTINGS, unfold=0.0), photos, tmp_path / "without")
    after = train(SETTINGS, photos, tmp_path / "with")
    a, b = (priors.load(path).network.state_dict() for path in (before, after))
    assert any(not torch.equal(a[name], b[name]) for name in a)
    for wrong in ({"unfold_levels": [0.1, 0.3]}, {"unfold": 0.5, "objective": "v", "holes": 0.0}):
        with pytest.raises(RestorekitError, match="unfold"):
            Settings.from_dict(SETTINGS.as_dict() | wrong)


def test_a_paused_run_goes_on_to_the_same_weights(photos: Path, tmp_path: Path) -> None:
    unbroken = train(SETTINGS, photos, tmp_path / "unbroken")
    for _ in range(SETTINGS.steps + 1):
        paused = train(SETTINGS, photos, tmp_path / "paused", pause=1e-9)
    a, b = (priors.load(path).network.state_dict() for path in (unbroken, paused))
    assert all(torch.equal(a[name], b[name]) for name in a)
