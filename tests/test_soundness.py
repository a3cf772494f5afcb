"""Soundness: every shipped prior has it, and the check finds who has not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from restorekit import loading, priors, soundness
from restorekit.engine.denoiser import NetworkDenoiser
from restorekit.engine.noise import Noise
from restorekit.engine.schedule import linear
from restorekit.soundness import cases

from .commands import run, save

CROP = slice(16, 112)


@pytest.mark.parametrize("name", list(priors.shipped()))
def test_shipped_priors_are_sound(name: str) -> None:
    denoiser = priors.load(priors.shipped()[name])
    photos = soundness.photos_for(denoiser)[::3]
    if denoiser.halo is not None:
        photos = photos[..., CROP, CROP]
    rows = list(soundness.check(denoiser, photos, soundness.quick()))
    assert all(row.sound for row in rows), "\n".join(map(soundness.line, rows))


class Answering(nn.Module):
    """A network whose answer, as v and with data of deviation 1, is made of x and the level."""

    def __init__(self, wrong: str) -> None:
        super().__init__()
        self.wrong = wrong
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, log_noise: Tensor) -> Tensor:
        s = log_noise.exp()[:, None, None, None]
        x = x * (s**2 + 1).sqrt()
        x_0 = x.clone()
        if self.wrong == "static":
            x_0[..., 8:16, 8:16] += 1.2 * s
        elif self.wrong == "blind":
            x_0 = torch.zeros_like(x)
        elif self.wrong == "broken":
            x_0 = x * float("nan")
        return (x / (s**2 + 1) - x_0) * (s**2 + 1).sqrt() / s


def answering(wrong: str) -> NetworkDenoiser:
    return NetworkDenoiser(Answering(wrong), linear(), sigma_data=1.0, halo=0)


def rows_of(wrong: str, safe: bool = False) -> Iterator[soundness.Row]:
    photos = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) / 2 + 0.25
    return soundness.check(answering(wrong), photos, soundness.quick(), safe=safe)


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ("nothing", set()),  # it only gives back what it is given
        ("static", {"shift"}),
        ("blind", {"error", "shift"}),
        ("broken", {"error", "shift"}),
    ],
)
def test_the_check_finds_what_is_wrong(wrong: str, found: set[str]) -> None:
    rows = list(rows_of(wrong))
    assert {name for row in rows for name in row.wrong} == found
    assert soundness.verdict(rows).startswith("unsound in" if found else "sound in all")
    assert (soundness.figures(rows)["unsound_rows"] > 0) == bool(found)


def test_figures_are_what_they_say() -> None:
    """Of a prior that changes nothing: no gain, and the noise's own level as its error."""
    case = soundness.Case("photos", "white", 10, 20)
    photos = torch.full((1, 3, 64, 64), 0.5)
    (row,) = soundness.check(answering("nothing"), photos, [case])
    assert row.there == pytest.approx(10, rel=0.03) and row.told == pytest.approx(20)
    assert row.mean == pytest.approx(0, abs=1e-3) and row.worst == pytest.approx(0, abs=1e-3)
    assert row.error == pytest.approx(0.5, rel=0.03) and row.shift == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("name", list(cases.FAULTS))
def test_noise_is_about_as_strong_as_asked_for(name: str) -> None:
    """On middle tones; what there is in the end is measured all the same."""
    photos = soundness.pictures.shipped(64)[:2] * 0.5 + 0.25
    there = 255 * (cases.FAULTS[name](photos, 8 / 255, Noise(0).normal) - photos).std()
    assert there == pytest.approx(8, rel=0.4)
    assert name in {case.noise for case in soundness.full()}


@pytest.mark.usefixtures("here")
def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On photos of one's own; its exit code and its report say the same."""
    rng = np.random.default_rng(0)
    for name in ("b", "a"):
        save(f"photos/{name}.png", rng.integers(64, 192, (150, 140, 3), dtype=np.uint8))
    monkeypatch.setattr(soundness, "full", soundness.quick)
    for wrong, code in (("nothing", 0), ("static", 4)):
        denoiser = answering(wrong)
        monkeypatch.setattr(loading, "load_prior", lambda *_, denoiser=denoiser: denoiser)
        assert run("priors check photo photos --json report.json") == code
        report = json.loads(Path("report.json").read_text())
        assert report["sound"] is (code == 0) and len(report["rows"]) == len(soundness.quick())
        assert all(row["wrong"] == (["shift"] if code else []) for row in report["rows"])
        out = capsys.readouterr().out
        assert ("UNSOUND: shift" in out) is (code == 4)
    assert run("priors check photo missing") == 1
    assert "missing: no such file or folder" in capsys.readouterr().err
    save("small/a.png", np.zeros((20, 20, 3), np.uint8))
    assert run("priors check photo small") == 1
    assert "128 x 128" in capsys.readouterr().err
