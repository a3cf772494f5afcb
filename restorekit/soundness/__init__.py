"""Is a prior sound: never far worse than its input, with whatever noise up to what it is told?

Who asks a denoiser seldom knows the noise. So the level that it is told must be an upper bound:
with less noise than that, or none, or noise of another kind, its answer may be smoother than it
need be, and no worse. Three figures say whether that holds, over what people have:

- gain: PSNR of the answer over the input's, dB; where there was no noise, the answer's PSNR.
- error: root mean square error of the answer, in units of the level told.
- shift: how far the mean of any 8 x 8 block of any channel ends up outside what lies between the
  noisy and the clean one, in units of the level told. Coloured static is such a shift.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..engine.colour import coloured_state
from ..engine.denoiser import Denoiser
from ..engine.noise import Noise
from ..engine.schedule import over
from ..engine.traits import Known, known
from ..engine.wrappers import Guarded, Topped, at
from . import pictures
from .cases import DARK, FAULTS, GREY, PHOTOS, Case, full, quick
from .rows import FIGURES, HEADING, HELD, LIMITS, LOST_DB, Row, figures, line, verdict

__all__ = [
    "FIGURES",
    "HEADING",
    "LIMITS",
    "Case",
    "Row",
    "check",
    "figures",
    "full",
    "line",
    "photos_for",
    "quick",
    "verdict",
]

SIDE = 128
AT_ONCE = 8  # pictures


def photos_for(denoiser: Denoiser, folder: Path | None = None) -> Tensor:
    """Photographs of a size that a prior is for: crops, or for one with global layers whole ones.

    Args:
        folder: of photos; by default some that scikit-image installs.
    """
    prior = known(denoiser)
    whole = prior.halo is None
    side = prior.window if whole else SIDE
    if folder is None:
        return pictures.shipped(side, whole=whole)
    return pictures.of_folder(folder, side, whole=whole)


@torch.inference_mode()
def check(
    denoiser: Denoiser,
    photos: Tensor,
    rows: Sequence[Case] | None = None,
    *,
    safe: bool = False,
    device: torch.device | str = "cpu",
) -> Iterator[Row]:
    """Asks a prior about everything that it may be asked; a row at a time.

    One of a single channel is asked about the green one.

    Args:
        photos: (N, 3, H, W) on [0, 1], taken for clean.
        rows: `full()` by default, or `quick()`.
        safe: ask as an unsound prior is asked (`engine.wrappers.Topped`).
        device: where the prior is.
    """
    prior = known(denoiser)
    for case in full() if rows is None else rows:
        if not _fits(case, prior):
            continue
        clean = _clean(case.pictures, photos)
        noise = Noise(0, f"{case.noise} {case.sigma}")
        noisy = FAULTS[case.noise](clean, case.sigma / 255, noise.normal)
        if prior.channels == 1:
            clean, noisy = clean[:, 1:2], noisy[:, 1:2]
        there = _rms(noisy - clean)
        told = case.times * there if case.told is None else torch.full_like(there, case.told / 255)
        asked = _asked(prior, case.precision, safe)
        question, level = noisy, told
        if case.one_channel:
            level = 3**0.5 * told
            question = coloured_state(noisy, told[:, None, None, None], noise.branch("chroma"))
        answer = torch.cat(
            [
                _answer(asked, *some).cpu()
                for some in zip(
                    question.to(device).split(AT_ONCE), level.split(AT_ONCE), strict=True
                )
            ]
        )
        if case.one_channel:
            answer = answer.mean(1, keepdim=True).expand_as(answer)
        yield _judged(case, clean, noisy, answer, told)


def _fits(case: Case, prior: Known) -> bool:
    """Whether it can be asked: not of less precision, nor for colour, where it has none."""
    able = prior.reducible or case.precision == "float32"
    return able and not (case.one_channel and prior.channels == 1)


def _asked(prior: Known, precision: str, safe: bool) -> Denoiser:
    asked: Denoiser = prior
    if precision != "float32":
        asked = Guarded(at(prior, getattr(torch, precision)))
    return Topped(asked) if safe else asked


def _clean(kind: str, photos: Tensor) -> Tensor:
    if kind == PHOTOS:
        return photos
    if kind == GREY:
        return photos.mean(1, keepdim=True).expand_as(photos)
    if kind in DARK:
        return DARK[kind] * photos
    return pictures.MADE[kind](photos.shape[-1])


def _answer(denoiser: Denoiser, noisy: Tensor, told: Tensor) -> Tensor:
    """E[x_0 | noisy] on [0, 1], of pictures and levels (B,) on [0, 1]."""
    t = denoiser.schedule.time_for(2 * told)
    t = t[:1] if bool((t == t[0]).all()) else t
    alpha, _ = denoiser.schedule(t)
    return ((denoiser(over(alpha, noisy) * (2 * noisy - 1), t).x_0 + 1) / 2).clamp(0, 1)


def _judged(case: Case, clean: Tensor, noisy: Tensor, answer: Tensor, told: Tensor) -> Row:
    before, after = _rms(noisy - clean), _rms(answer - clean)
    gain = 20 * torch.log10((before if case.sigma else 1.0) / after)
    allowed = torch.maximum(HELD * told, 10 ** (LOST_DB / 20) * before)
    a, b, moved = (F.avg_pool2d(x, 8) for x in (clean, noisy, answer))
    outside = torch.maximum(moved - torch.maximum(a, b), torch.minimum(a, b) - moved)
    shift = outside.flatten(1).amax(1).clamp(min=0) / told
    return Row(
        case,
        there=255 * before.mean().item(),
        told=255 * told.mean().item(),
        mean=gain.mean().item(),
        worst=gain.min().item(),
        error=(after / told).max().item(),
        shift=shift.max().item(),
        excess=(after / allowed).max().item(),
    )


def _rms(x: Tensor) -> Tensor:
    """Of each picture, (B,)."""
    return x.square().flatten(1).mean(1).sqrt()
