"""What a prior is asked in a check: which pictures, with which noise, told which level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from .. import camera
from ..camera import Normal

# (clean pictures (B, 3, H, W) on [0, 1], about which deviation, normals) -> with noise.
Fault = Callable[[Tensor, float, Normal], Tensor]

PHOTOS, GREY = "photos", "photos, R = G = B"
DARK = {f"photos at {percent} %": percent / 100 for percent in (30, 10, 5)}


@dataclass(frozen=True)
class Case:
    """One row of a check. Levels are on 0..255.

    Attributes:
        pictures: "photos", a name of DARK or of `pictures.MADE`, or photos without colour.
        noise: a name in FAULTS.
        sigma: of that noise, about: what is there in the end is measured.
        told: the level that is told; None tells each picture its noise's root mean square.
        times: how many times that.
        precision: of the network.
        one_channel: ask as a grey file is asked about, see `engine.colour`.
    """

    pictures: str
    noise: str
    sigma: float
    told: float | None = None
    times: float = 1.0
    precision: str = "float32"
    one_channel: bool = False


def grey(x: Tensor, sigma: float, normal: Normal) -> Tensor:
    """White noise that is the same in every channel."""
    return x + sigma * normal((len(x), 1, *x.shape[2:])).to(x)


def blurred(x: Tensor, sigma: float, normal: Normal) -> Tensor:
    """White noise after a blur of one pixel."""
    return x + sigma * camera.blurred(normal(tuple(x.shape)).to(x), 1.0)


def resized(x: Tensor, sigma: float, normal: Normal) -> Tensor:
    """White noise of a picture that was then enlarged one and a half times."""
    sides = [length * 2 // 3 + 1 for length in x.shape[2:]]
    noise = camera.resized(normal((*x.shape[:2], *sides)).to(x), 1.5)
    noise = noise[..., : x.shape[2], : x.shape[3]]
    return x + sigma * noise / noise.square().mean().sqrt()


def demosaiced(x: Tensor, sigma: float, normal: Normal) -> Tensor:
    """The same noise everywhere on the sensor, so the stronger in the shadows."""
    return camera.sensor(x, 0.0, 0.7 * sigma, normal)


def poisson(x: Tensor, sigma: float, normal: Normal) -> Tensor:
    """Poisson-Gaussian noise of a sensor that sees every colour everywhere."""
    return camera.sensor(x, 2 * sigma**2, sigma / 8, normal, mosaic=False)


def one_side(x: Tensor, sigma: float, normal: Normal) -> Tensor:
    """White noise on the right, and a fifth of it on the left."""
    noise = sigma * normal(tuple(x.shape)).to(x)
    noise[..., : x.shape[3] // 2] /= 5
    return x + noise


def compressed(quality: int) -> Fault:
    """White noise, and then a JPEG with halved chroma."""

    def fault(x: Tensor, sigma: float, normal: Normal) -> Tensor:
        return camera.jpeg(camera.eight_bit(camera.white(x, sigma, normal)), quality)

    return fault


FAULTS: dict[str, Fault] = {
    "white": camera.white,
    "white, all channels alike": grey,
    "blurred": blurred,
    "smooth, coloured": camera.coloured,
    "resized": resized,
    "demosaiced": demosaiced,
    "Poisson-Gaussian": poisson,
    "grain": camera.grain,
    "white on one side": one_side,
    **{f"white, JPEG {quality} 4:2:0": compressed(quality) for quality in (95, 75, 50)},
}
CORRELATED = [name for name in FAULTS if not name.startswith("white")]
LEVELS = (5, 15, 25, 50)
MADE = ("flat patches", "ramps", "saturated colours", "textures")


def full() -> Sequence[Case]:
    """All rows of a check, in the order of its table."""
    rows = [Case(PHOTOS, "white", there, t) for there in (0, *LEVELS) for t in LEVELS if t >= there]
    for noise in (*CORRELATED, *(n for n in FAULTS if "JPEG" in n)):
        rows += [Case(PHOTOS, noise, 8, times=times) for times in (1.0, 3.0)]
    for pictures in (*DARK, *MADE):
        rows += [Case(pictures, "white", 0, 15), Case(pictures, "white", 5, 15)]
    rows += [Case(dark, "demosaiced", 8, times=2.0) for dark in DARK]
    rows += [Case(PHOTOS, "white on one side", sigma, sigma) for sigma in (15, 25)]
    for one in (False, True):
        rows += [
            Case(GREY, "white, all channels alike", there, 15, one_channel=one)
            for there in (0, 5, 15)
        ]
    rows += [Case(PHOTOS, "white", there, 15, precision="bfloat16") for there in (0, 15)]
    return rows


def quick() -> Sequence[Case]:
    """The few rows that find an unsound prior in seconds; they need no more than torch and cv2."""
    rows = [
        Case(PHOTOS, "white", *level) for level in ((0, 5), (0, 15), (0, 25), (5, 25), (15, 50))
    ]
    rows += [Case(pictures, "white", 0, 15) for pictures in ("photos at 10 %", *MADE)]
    rows += [Case(PHOTOS, "white, JPEG 75 4:2:0", 8, times=times) for times in (1.0, 3.0)]
    return [*rows, Case(GREY, "white, all channels alike", 5, 15)]
