"""Does a denoiser denoise, at every size and level, and in tiles as whole?"""

from __future__ import annotations

import torch
from torch import Tensor

from ..engine.denoiser import Denoiser, WrongAnswer, answered
from ..engine.noise import Noise
from ..engine.schedule import over
from ..engine.tiling import Tiled
from ..engine.traits import Known, known
from ..engine.wrappers import Topped
from ..loading import load_prior
from ..priors import Prior
from ..soundness import pictures
from ..soundness.rows import HELD

SIDE = 64
SHAPES = ((1, 48, 32), (2, 37, 22), (1, 9, 13), (1, 1, 1))  # pictures, height, width
TOLD = 15 / 255
EQUAL = 1e-4


@torch.inference_mode()
def check_prior(given: Prior | Denoiser, *, sound: bool = True) -> None:
    """Asserts what samplers and tiles rely on.

    - x_0 has the state's shape and type, for one picture and two, square, odd and tiny ones, and
      is finite at every time from 0 to 1, as is r_t^2, which is not negative. It is the same when
      asked again, and the state stays as it was.
    - White noise of the level that it is told becomes less; clean photos told the same level lose
      no more than `restorekit priors check` allows. One that is not `bound` is asked about both as
      tasks ask it, with further noise.
    - Where its `halo` says that it is local, tiles give the same numbers as the whole.

    Args:
        given: what a plugin offers, or a denoiser on the CPU; see `engine.traits.Traits` for the
            attributes that it may have.
        sound: whether to ask about photos, for which it must have been trained.
    """
    if isinstance(given, Prior):
        prior = load_prior(given, torch.device("cpu"), "float32")
        said, has = (given.channels, given.halo), (prior.channels, prior.halo)
        assert said[0] == has[0] and (said[1] is None) == (has[1] is None), (
            f"the prior says (channels, halo) = {said} before it is loaded, and {has} after"
        )
    else:
        prior = known(given)
    photos = 2 * pictures.shipped(SIDE)[:2] - 1
    if prior.channels != 3:
        photos = photos.mean(1, keepdim=True).expand(-1, prior.channels, -1, -1)
    for count, height, width in SHAPES:
        _answers(prior, photos[:count, :, :height, :width])
    if prior.halo is not None:
        _local(prior, prior.halo, photos[:1])
    if sound:
        _sound(prior if prior.bound else Topped(prior), photos)


def _answers(denoiser: Denoiser, x_0: Tensor) -> None:
    size = " x ".join(map(str, x_0.shape[2:]))
    for time in (0.0, 1e-3, 0.05, 0.3, 1.0):
        t = torch.tensor(time, dtype=torch.float64)
        x_t = denoiser.schedule.diffuse(x_0, t, Noise(0).like(x_0))
        kept = x_t.clone()
        here = f"at t = {time}, for {len(x_0)} of {size} pixels"
        try:
            said = answered(denoiser(x_t, t), x_t).x_0
        except WrongAnswer as error:
            raise AssertionError(f"the prior {error} {here}") from error
        assert torch.equal(x_t, kept), f"the prior changed the state {here}"
        assert said.dtype == x_t.dtype, f"the prior's x_0 is {said.dtype}, not {x_t.dtype}"
        assert said.isfinite().all(), f"the prior's x_0 is not finite {here}"
        assert torch.equal(denoiser(x_t, t).x_0, said), f"the prior says something else {here}"
        r2 = float(denoiser.variance(t))
        assert 0 <= r2 < float("inf"), f"the prior's variance(t) is {r2} at t = {time}"


def _asked(denoiser: Denoiser, noisy: Tensor) -> Tensor:
    t = denoiser.schedule.time_for(2 * TOLD)
    return denoiser(over(denoiser.schedule(t)[0], noisy) * noisy, t).x_0


def _local(prior: Known, halo: int, photo: Tensor) -> None:
    multiple = prior.multiple
    beyond = 2 * halo + 2 * multiple + SIDE  # so that no tile sees all of it
    wide = photo.repeat(1, 1, 1, -(-beyond // SIDE))
    tiled = Tiled(prior, max(SIDE // 2 // multiple, 1) * multiple, halo, multiple)
    gap = (_asked(tiled, wide) - _asked(prior, wide)).abs().max().item()
    assert gap < EQUAL, f"the prior says it sees {halo} pixels far, but tiles differ by {gap:.2g}"


def _sound(denoiser: Denoiser, photos: Tensor) -> None:
    told = 2 * TOLD
    noisy = photos + told * Noise(0).like(photos)

    def rms(x: Tensor) -> float:
        return x.square().mean().sqrt().item() / told

    left = rms(_asked(denoiser, noisy) - photos)
    assert left < 1, f"the prior leaves {left:.2f} times the noise that it is told"
    lost = rms(_asked(denoiser, photos) - photos)
    assert lost <= HELD, (
        f"the prior takes {lost:.2f} of the level it is told from clean photos; {HELD} is allowed"
    )
