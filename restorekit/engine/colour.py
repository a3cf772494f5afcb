"""A grey photo for a prior of colour, and a photo in colour for one of grey."""

from __future__ import annotations

import torch
from torch import Tensor

from .conditioning import Degradation, Observation
from .denoiser import Prediction
from .noise import Noise
from .operators import Grey, Mask
from .wrappers import Wrapper


def in_colour(observation: Observation) -> Observation:
    """A grey measurement for a colour prior: what was measured is the mean of the channels.

    Pixels that are known without noise are known to be grey, in a photo without colour.
    """
    if isinstance(observation.operator, Mask) and observation.sigma == 0:
        return Observation(observation.y.expand(-1, 3, -1, -1), observation.degradation)
    degradation = Degradation(Grey(observation.operator), observation.sigma)
    return Observation(observation.y, degradation)


def coloured_state(grey: Tensor, level: float | Tensor, noise: Noise) -> Tensor:
    """A grey photo with noise of a level as a photo of equal channels with sqrt(3) times that.

    Noise of deviation s in the mean of three channels is noise of deviation sqrt(3) s in each:
    what is missing is the part of it that the mean does not see, which is drawn here. Asked about
    the photo as it is, with the same noise in every channel, even a prior that takes its level for
    an upper bound gives up 1 to 2 dB.

    Args:
        grey: (B, 3, H, W), all channels alike.
        level: of its noise; a number, or (B, 1, 1, 1).
        noise: to draw from.
    """
    eps = noise.like(grey)
    return grey + 3**0.5 * level * (eps - eps.mean(1, keepdim=True))


class EachChannel(Wrapper):
    """Asks a denoiser of one channel about every channel of a picture, as if they were pictures."""

    pointwise = True

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        answers = [self.denoiser(x, t) for x in x_t.split(1, dim=1)]
        fractions = [a.variance_fraction for a in answers if a.variance_fraction is not None]
        x_0 = torch.cat([a.x_0 for a in answers], dim=1)
        return Prediction(x_0, torch.cat(fractions, dim=1) if fractions else None)
