"""A time for every pixel: what is told, and how it travels through the wrappers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from restorekit import priors
from restorekit.engine import losses
from restorekit.engine.conditioning import Degradation, Observation, mapped
from restorekit.engine.denoiser import NetworkDenoiser, Prediction
from restorekit.engine.operators import Identity, Mask
from restorekit.engine.schedule import linear
from restorekit.engine.symmetry import SQUARE, Ensemble, Motion
from restorekit.engine.tiling import Tiled, Windowed
from restorekit.engine.unet import UNetConfig
from restorekit.engine.wrappers import Asked, Shared
from restorekit.errors import RestorekitError
from restorekit.training import draws
from restorekit.training.data import Photos, to_unit
from restorekit.training.holes import KINDS, hole
from restorekit.training.settings import Settings
from restorekit.training.trainer import train

from .networks import LOCAL, random_network
from .training.conftest import photos  # noqa: F401 - a fixture
from .training.tiny import TINY

SCHEDULE = linear()
CONFIG = dataclasses.replace(LOCAL["uneven"], mapped=True)


def told_maps(config: UNetConfig = CONFIG) -> NetworkDenoiser:
    return NetworkDenoiser(random_network(config), SCHEDULE, mapped=config.mapped)


def state(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels, and times: known on the left, of all levels on the right; and the latest."""
    x = torch.randn(1, 3, height, width, dtype=torch.float64)
    t = torch.rand(1, 1, height, width, dtype=torch.float64)
    t[..., : width // 2] = 0
    return x, torch.cat([t, t.amax().expand_as(t)], dim=1)


def test_one_level_everywhere_is_the_level() -> None:
    x, _ = state(40, 33)
    t = torch.tensor(0.3, dtype=torch.float64)
    prior = told_maps()
    assert torch.equal(prior(x, t).x_0, prior(x, t.expand(1, 1, 40, 33)).x_0)
    with pytest.raises(ValueError, match="trained with maps"):
        told_maps(LOCAL["uneven"])(x, t.expand(1, 1, 40, 33))


def test_what_is_known_stays_and_the_map_is_seen() -> None:
    x, t = state(40, 33)
    answer = told_maps()(x, t).x_0
    torch.testing.assert_close(answer[..., :16], x[..., :16], atol=1e-3, rtol=0)
    other = t.clone()
    other[:, 0, 30, 30] = 0
    assert not torch.equal(told_maps()(x, other).x_0[..., 29, 29], answer[..., 29, 29])


def test_the_map_travels_with_the_state() -> None:
    x, t = state(150, 130)
    prior, halo, multiple = told_maps(), CONFIG.halo or 0, CONFIG.multiple
    whole = prior(x, t).x_0
    torch.testing.assert_close(Tiled(prior, 32, halo, multiple)(x, t).x_0, whole)
    for motion in SQUARE:  # a network's answer does not turn with it; undone twice it must
        turned = Ensemble(prior, [motion])(motion.back(x), motion.back(t)).x_0
        torch.testing.assert_close(motion(turned), whole)

    class Pixelwise:
        schedule = SCHEDULE

        def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
            return Prediction(x_t * t[:, :1])

    torch.testing.assert_close(Windowed(Pixelwise(), 32, 8)(x, t).x_0, x * t[:, :1])
    shared = Shared(prior)
    asked = [Asked(x, t), Asked(x.flip(-1), t.flip(-1))]
    for question, answer in zip(asked, shared._evaluate(asked), strict=True):
        torch.testing.assert_close(answer.x_0, prior(question.x_t, question.t).x_0)
    assert not asked[0].fits(Asked(x, torch.tensor(0.3)))
    assert Motion().back(t) is t and shared.mapped


def test_the_method_says_what_it_cannot() -> None:
    y = torch.zeros(1, 3, 8, 8)
    with pytest.raises(ValueError, match="needs a mask"):
        mapped(told_maps(), Observation(y, Degradation(Identity())))
    plain = told_maps(LOCAL["uneven"])
    with pytest.raises(ValueError, match="--method diffpir"):
        mapped(plain, Observation(y, Degradation(Mask(torch.ones(1, 1, 8, 8)))))


def test_known_pixels_count_for_no_loss() -> None:
    """What a hole's prediction errs by counts the same, however much is known around it."""
    wrong = torch.zeros(1, 3, 16, 16)
    wrong[..., :8, :8] = 0.5

    class Constant:
        schedule = SCHEDULE

        def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
            return Prediction(wrong[..., : x_t.shape[-2], : x_t.shape[-1]])

    x_0 = torch.zeros(1, 3, 16, 16)
    t = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    t[..., :8, :8] = SCHEDULE.time_for(0.3)
    alone = x_0[..., :8, :8]
    found = losses.root_v(Constant(), x_0, t, torch.randn_like(x_0))
    level = SCHEDULE.time_for(torch.tensor([0.3]))
    expected = losses.root_v(Constant(), alone, level, torch.randn_like(alone))
    torch.testing.assert_close(found, expected)


def test_holes_of_every_kind() -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    shares = [hole(64, rng).mean() for _ in range(60)]
    assert min(shares) > 0.002 and max(shares) < 0.97 and np.std(shares) > 0.1
    for _, draw in KINDS:
        canvas = np.zeros((64, 64), np.uint8)
        draw(canvas, rng)
        draw(canvas, rng)
        assert set(np.unique(canvas)) == {0, 1}


def test_torn_crops(photos: Path, tmp_path: Path) -> None:  # noqa: F811
    """Known pixels are the photo's own; in a hole is noise, or a guess and its level."""
    data = Photos(photos, tmp_path, 32, holes=0.7)
    crops = data.batch(3, range(48))
    assert crops.holes is not None and crops.faults is not None
    torn = ~crops.holes.flatten(1).all(1)
    guessed = (crops.faults != 0).flatten(1).any(1)
    assert 0.5 < torn.float().mean() < 0.9 and 0.3 < guessed[torn].float().mean() < 1
    assert not guessed[~torn].any()
    settings = Settings(batch=48)
    x_0 = to_unit(crops.x_0)
    t, eps = draws.times(settings, SCHEDULE, 3), draws.noise(settings, x_0, 3)
    times, noise = draws.of_holes(SCHEDULE, t, eps, crops.holes, crops.faults)
    seen = SCHEDULE.diffuse(x_0, times, noise)
    known = ~crops.holes.expand_as(x_0)
    assert torch.equal(seen[known], x_0[known])
    ratio = SCHEDULE.noise_to_signal(times).amax((1, 2, 3))
    torch.testing.assert_close(ratio[guessed], torch.full_like(ratio[guessed], draws.GUESS))
    torch.testing.assert_close(ratio[~guessed], SCHEDULE.noise_to_signal(t)[~guessed])
    guess = seen / SCHEDULE(times)[0].float()
    where = guessed[:, None, None, None]
    torch.testing.assert_close(
        torch.where(where, guess, 0), torch.where(where, x_0 + crops.faults, 0), atol=1e-4, rtol=0
    )


def test_a_prior_learns_to_take_maps(photos: Path, tmp_path: Path) -> None:  # noqa: F811
    plain = train(TINY, photos, tmp_path / "plain")
    network = dataclasses.replace(TINY.network, mapped=True)
    settings = dataclasses.replace(TINY, network=network, holes=0.8, rate=1e-9)
    weights = train(settings, photos, tmp_path / "mapped", init=plain)
    before, after = priors.load(plain), priors.load(weights)
    assert after.mapped and not before.mapped
    x, t = torch.randn(1, 3, 24, 24), torch.tensor(0.2)
    torch.testing.assert_close(after(x, t).x_0, before(x, t).x_0, atol=2e-3, rtol=0)
    with pytest.raises(RestorekitError, match=r"network\.mapped"):
        dataclasses.replace(TINY, holes=0.5).check()
