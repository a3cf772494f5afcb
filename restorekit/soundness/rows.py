"""What came of a check: its rows, their limits, and how they are told."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from .cases import Case

# An error of this share of the level told is within what a denoiser may do to detail: FFDNet, told
# 5 to 50 of less noise or none, has 0.42 at most on CBSD68, and fine texture needs more.
HELD = 0.7
# Else the answer must not be worse than the input, but for what cannot be seen.
LOST_DB = 0.25
# White noise of the level told moves the mean of 64 pixels by an eighth of it. To move one by all
# of it a denoiser must believe in an accident of eight deviations.
SHIFTED = 1.0
LIMITS = {"error": HELD, "loss_db": LOST_DB, "shift": SHIFTED}
FIGURES = "unsound_rows", "largest_error", "largest_shift"


@dataclass(frozen=True)
class Row:
    """What came of one case, over its pictures.

    Attributes:
        case: what was asked.
        there, told: levels on 0..255, means over the pictures.
        mean, worst: gain in dB; where no noise was there, PSNR in dB.
        error, shift: the largest, in units of the level told.
        excess: the largest error, as a multiple of what is allowed.
    """

    case: Case
    there: float
    told: float
    mean: float
    worst: float
    error: float
    shift: float
    excess: float

    @property
    def wrong(self) -> tuple[str, ...]:
        """What is beyond its limit: error, shift, both, or nothing. No number is beyond any."""
        limits = {"error": (self.excess, 1.0), "shift": (self.shift, SHIFTED)}
        return tuple(name for name, (value, most) in limits.items() if not value <= most)

    @property
    def sound(self) -> bool:
        return not self.wrong

    def as_dict(self) -> dict[str, object]:
        """For JSON: the case's fields and the figures, flat."""
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "case"}
        return {**dataclasses.asdict(self.case), **own, "wrong": list(self.wrong)}


def figures(rows: Sequence[Row]) -> dict[str, float]:
    """Those of FIGURES: how many rows are beyond a limit, and the largest error and shift."""
    values = (
        sum(not row.sound for row in rows),
        round(max(row.error for row in rows), 3),
        round(max(row.shift for row in rows), 3),
    )
    return dict(zip(FIGURES, values, strict=True))


HEADING = f"{'pictures':20}{'noise':28}" + "".join(
    f"{head:>10}" for head in ("there", "told", "mean dB", "worst dB", "error", "shift")
)


def line(row: Row) -> str:
    """A row under HEADING."""
    case = row.case
    kind = ", bf16" * (case.precision == "bfloat16") + ", one channel" * case.one_channel
    name = f"photos{kind}" if kind else case.pictures
    noise = case.noise if case.sigma else "none"
    levels = "".join(f"{level:>10.1f}" for level in (row.there, row.told))
    numbers = "".join(f"{n:>10.2f}" for n in (row.mean, row.worst, row.error, row.shift))
    said = "sound" if row.sound else f"UNSOUND: {', '.join(row.wrong)}"
    return f"{name:20}{noise:28}{levels}{numbers}  {said}"


def verdict(rows: Sequence[Row]) -> str:
    """Sound, or in how many rows not and where most, in one line."""
    bad = [row for row in rows if not row.sound]
    if not bad:
        return f"sound in all {len(rows)} rows"
    worst = max(bad, key=lambda row: max(row.excess, row.shift))
    noise = worst.case.noise if worst.case.sigma else "no noise"
    return (
        f"unsound in {len(bad)} of {len(rows)} rows, most for {worst.case.pictures} with {noise} "
        f"told {worst.told:.0f}: error {worst.error:.2f}, shift {worst.shift:.2f} of that"
    )
