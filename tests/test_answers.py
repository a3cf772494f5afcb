"""What a plugin's functions give: of another form, it is told as theirs; and records know of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from skimage import data

from restorekit import plugins, priors
from restorekit.engine.conditioning import Conditioned, Degradation, Observation, diffpir
from restorekit.engine.denoiser import Prediction
from restorekit.engine.operators import Identity
from restorekit.engine.sampler import ddim
from restorekit.hookspecs import hookimpl
from restorekit.task import Problem, Recipe, Task

from .commands import run, save
from .conftest import Install

PHOTO = data.chelsea()[60:84, 110:142]


class Absent(Task):
    name = "absent"
    recipes = {"fidelity": Recipe("none", "ddim", 1)}

    def observe(self, picture: Any, **options: Any) -> Any:
        return None


class Guessing(Task):
    name = "guessing"
    recipes = {"fidelity": Recipe("none", "ddim", 1)}

    def observe(self, picture: Any, **options: Any) -> Any:
        y = Observation(picture.pixels, Degradation(Identity()))
        return Problem(y, picture.pixels.shape[2:], guesser=lambda *_: picture.pixels.double())


def answering(given: Callable[[Prediction], Any]) -> Any:
    """A method whose denoiser says something else than its prior."""

    def method(prior: Any, observation: Any) -> Any:
        return Conditioned(prior, lambda x_t, t, _: given(prior(x_t, t)))

    return method


def stepping(given: Callable[[Any], Any]) -> Any:
    """A step that gives something else than ddim's."""
    return lambda *what: given(ddim(*what))


def saying(given: Any) -> Callable[[], Any]:
    return lambda: given


METHODS: dict[str, Any] = {
    "none-at-all": lambda *_: None,
    "no-answer": answering(lambda _: None),
    "other-shape": answering(lambda p: Prediction(p.x_0[..., 1:])),
    "not-a-number": answering(lambda p: Prediction(p.x_0 * torch.nan)),
}
STEPS: dict[str, Any] = {
    "no-pair": stepping(lambda _: None),
    "pair-of-one": stepping(lambda pair: pair[:1]),
    "no-state": stepping(lambda pair: (None, pair[1])),
    "smaller-state": stepping(lambda pair: (pair[0][..., 1:], pair[1])),
    "no-prediction": stepping(lambda pair: (pair[0], pair[0])),
}
PRIORS: dict[str, Any] = {
    "says-nothing": lambda *_: None,
    "says-less": lambda noisy, _: noisy[..., 1:],
    "says-nan": lambda noisy, _: noisy * torch.nan,
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, install: Install) -> Path:
    """A folder with a photo, among plugins with all of these faults."""
    monkeypatch.chdir(tmp_path)
    save("in.png", PHOTO)
    kinds = {"methods": METHODS, "samplers": STEPS}
    kinds["priors"] = {n: priors.from_denoiser(f, name=n) for n, f in PRIORS.items()}
    hooks: dict[str, Any] = {"restorekit_tasks": hookimpl(lambda: [Absent(), Guessing()])}
    hooks |= {f"restorekit_{kind}": hookimpl(saying(given)) for kind, given in kinds.items()}
    install(superres="restorekit_superres", denoise="restorekit_denoise", faulty=hooks)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("absent", "task 'absent': observe gives a NoneType, where a Problem is due"),
        ("guessing", "task 'guessing': its guesser gives a tensor of (1, 3, 24, 32)"),
        *((f"superres --method {n}", f"method '{n}'") for n in METHODS),
        *((f"superres --sampler {n} --steps 2", f"sampler '{n}'") for n in STEPS),
        *((f"denoise --sigma 9 --prior {n}", f"prior '{n}'") for n in PRIORS),
    ],
)
def test_a_wrong_answer_is_told_as_its_plugins(
    here: Path, capfd: pytest.CaptureFixture[str], command: str, words: str
) -> None:
    assert run(f"{command} in.png -o out.png") == 1
    said = capfd.readouterr().err
    assert words in said and "internal error" not in said
    assert "plugin faulty: " in said
    if "nan" in words or "number" in words:
        assert "NaN or infinity" in said
        assert "prior 'photo" not in said, "which has no part in it"
    assert not Path("out.png").exists()


def test_a_folder_is_done_again_where_other_pixels_would_come(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    install: Install,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Two priors of one name and file, asked for by other names; a plugin of another version."""
    monkeypatch.chdir(tmp_path)
    save("in/a.png", PHOTO)
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"of both")

    def shrinking(share: float) -> Any:
        def denoise(noisy: Any, sigma: Any) -> Any:
            return noisy * share

        return priors.from_denoiser(denoise, files=[weights])

    offered = {"soft": shrinking(0.9), "hard": shrinking(0.5)}
    install(
        superres="restorekit_superres",
        denoise="restorekit_denoise",
        mine={
            "restorekit_priors": hookimpl(lambda: offered),
            "restorekit_methods": hookimpl(lambda: {"other": diffpir}),
        },
    )

    def done(command: str) -> str:
        assert run(f"{command} --on-exists skip in -o {command.split()[0]}") == 0
        return capfd.readouterr().err

    assert "1 restored" in done("denoise --sigma 9 --prior soft")
    assert "1 skipped" in done("denoise --sigma 9 --prior soft")
    first = Path("denoise/a.png").read_bytes()
    assert "1 restored" in done("denoise --sigma 9 --prior hard")
    assert Path("denoise/a.png").read_bytes() != first
    command = "superres --scale 2 --sigma 0 --prior soft --method other --steps 1"
    assert "1 restored" in done(command)
    assert "1 skipped" in done(command)
    (mine,) = (plugin for plugin in plugins.registry().plugins if plugin.name == "mine")
    monkeypatch.setattr(mine, "version", "2.0")
    assert "1 restored" in done(command)
