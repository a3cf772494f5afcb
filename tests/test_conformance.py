"""The conformance kit: the built-ins pass, and every check finds what was broken on purpose."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import restorekit
from restorekit import plugins, priors
from restorekit.engine.conditioning import (
    METHODS,
    Conditioned,
    Degradation,
    Observation,
    diffpir,
)
from restorekit.engine.denoiser import Denoiser, NetworkDenoiser, Prediction
from restorekit.engine.operators import Identity, LinearOperator, Mask, Resample
from restorekit.engine.sampler import STEPS, ddim
from restorekit.engine.schedule import linear, over
from restorekit.hookspecs import hookimpl
from restorekit.loading import find_prior
from restorekit.metrics import Metric, psnr
from restorekit.task import Finding, Picture, Problem, Recipe, Task, Trial
from restorekit.testing import (
    check_method,
    check_metric,
    check_prior,
    check_sampler,
    check_task,
    installed,
)

from .networks import LOCAL, random_network

# --- What ships -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(plugins.registry().tasks))
def test_tasks(name: str) -> None:
    check_task(plugins.registry().task(name))


# For C = r_t^2 I, as the methods' module says of them.
EXACT: dict[str, Callable[[LinearOperator, float], bool]] = {
    "diffpir": lambda *_: True,
    "pigdm": lambda *_: True,
    "ddnm": lambda operator, sigma: sigma == 0 or not isinstance(operator, Resample),
    "dps": lambda operator, _: not isinstance(operator, Resample),
    "replace": lambda _, sigma: sigma == 0,
    "mapped": lambda *_: True,
    "none": lambda *_: False,
}


@pytest.mark.parametrize("name", list(METHODS))
def test_methods(name: str) -> None:
    check_method(METHODS[name], exact=EXACT[name])


@pytest.mark.parametrize("name", list(STEPS))
def test_samplers(name: str) -> None:
    check_sampler(STEPS[name])


@pytest.mark.parametrize("name", list(priors.shipped()))
def test_priors(name: str) -> None:
    check_prior(find_prior(name))


@pytest.mark.parametrize("name", ["psnr", "ssim", "blur", "ms_ssim", "vif"])
def test_metrics(name: str) -> None:
    if name in ("ms_ssim", "vif"):
        pytest.importorskip("torchmetrics")
    check_metric(plugins.registry().offered("metric")[name])


# --- Broken on purpose ----------------------------------------------------------------------


class Plain(Task):
    """A task without a fault: `denoise` for one level of noise."""

    name = "plain"
    summary = "Remove noise of 20 of 255."
    options: Any = (click.Option(["--strength"], type=float, default=1.0, help="Of it."),)
    recipes: Any = {
        "fidelity": Recipe("none", "ddim", steps=1),
        "perceptual": Recipe("none", "ddpm", steps=2),
    }
    prior = "photo-fast"
    sigma = 20 / 255

    def observe(self, picture: Picture, *, strength: float) -> Problem:
        y, level = picture.pixels, 2 * self.sigma * strength
        size = (y.shape[2], y.shape[3])
        observation = Observation(y, Degradation(Identity(), level))
        return Problem(observation, size, guess=y, level=level, guess_is_state=True)

    def degrade(
        self, clean: np.ndarray, noise: Any, **options: Any
    ) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        eps = noise.normal(clean.shape).numpy()
        return clean, (clean / 255 + self.sigma * eps).astype(np.float32), options

    @property
    def trial(self) -> Trial:  # type: ignore[override]
        return Trial(self.degrade, lambda noisy, **_: noisy)


class Silent(Plain):
    summary = ""


class Unexplained(Plain):
    options = (click.Option(["--strength"], type=float, default=1.0),)


class OneMode(Plain):
    recipes = {"fidelity": Recipe("none", "ddim", steps=1)}


class Global(Plain):
    def observe(self, picture: Picture, **options: Any) -> Problem:
        problem = super().observe(picture, **options)
        return dataclasses.replace(problem, guess=torch.randn(picture.pixels.shape))


class InPlace(Plain):
    def observe(self, picture: Picture, **options: Any) -> Problem:
        picture.pixels.clamp_(-0.5, 0.5)
        return super().observe(picture, **options)


class Colourful(Plain):
    """Asks for a third channel that grey photos have not got."""

    def observe(self, picture: Picture, **options: Any) -> Problem:
        picture.pixels[:, 2].mean()
        return super().observe(picture, **options)


class Talkative(Plain):
    def observe(self, picture: Picture, **options: Any) -> Problem:
        return dataclasses.replace(super().observe(picture, **options), notes=("one\ntwo",))


class Misplaced(Plain):
    def observe(self, picture: Picture, **options: Any) -> Problem:
        problem = super().observe(picture, **options)
        return dataclasses.replace(problem, keep=np.zeros((1, *problem.size), dtype=bool))


class Promising(Plain):
    def find(self, picture: Picture) -> Iterable[Finding]:
        return [Finding("noise", options={"sigma": 20})]


class Harmful(Plain):
    """Gives back what is darker than what it was given."""

    def observe(self, picture: Picture, **options: Any) -> Problem:
        problem = super().observe(picture, **options)
        return dataclasses.replace(problem, finish=lambda x: x - 0.3)


class Fickle(Plain):
    def degrade(
        self, clean: np.ndarray, noise: Any, **options: Any
    ) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        noisy = clean / 255 + np.random.default_rng().normal(0, self.sigma, clean.shape)
        return clean, noisy.astype(np.float32), options


def test_a_task_without_a_fault() -> None:
    check_task(Plain())


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (Silent, "summary must be one line"),
        (Unexplained, "--strength has no help text"),
        (OneMode, "no recipe for perceptual mode"),
        (Global, "other pixels for the same photo and seed"),
        (InPlace, "observe changes the picture's pixels"),
        (Colourful, "raises IndexError for uint8"),
        (Talkative, "a note must be one line"),
        (Misplaced, "keep must be bool"),
        (Promising, "finds what it cannot mend: plain has no option 'sigma'"),
        (Harmful, "makes its trial's photo worse"),
        (Fickle, "degrades differently each time"),
    ],
)
def test_a_broken_task(broken: type[Task], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_task(broken())


def deaf(prior: Denoiser, observation: Observation) -> Denoiser:
    return prior


def keeping(prior: Denoiser, observation: Observation) -> Denoiser:
    observation.y.mul_(0.5)
    return diffpir(prior, observation)


def clamping(prior: Denoiser, observation: Observation) -> Denoiser:
    inner = diffpir(prior, observation)
    return Conditioned(prior, lambda x_t, t, _: inner(x_t.clamp_(-0.1, 0.1), t))


def doubling(prior: Denoiser, observation: Observation) -> Denoiser:
    inner = diffpir(prior, observation)
    return Conditioned(prior, lambda x_t, t, _: Prediction(inner(x_t, t).x_0.double()))


def dicing(prior: Denoiser, observation: Observation) -> Denoiser:
    inner = diffpir(prior, observation)

    def correct(x_t: Tensor, t: Tensor, r2: float) -> Prediction:
        x_0 = inner(x_t, t).x_0
        return Prediction(x_0 + 1e-3 * torch.randn_like(x_0))

    return Conditioned(prior, correct)


def halfway(prior: Denoiser, observation: Observation) -> Denoiser:
    inner = diffpir(prior, observation)
    return Conditioned(
        prior, lambda x_t, t, _: Prediction((inner(x_t, t).x_0 + prior(x_t, t).x_0) / 2)
    )


def curt(prior: Denoiser, observation: Observation) -> Denoiser:
    raise ValueError


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (deaf, "with the prior alone"),
        (keeping, "changed y"),
        (clamping, "changed the state"),
        (doubling, "x_0 is torch.float64, not torch.float32"),
        (dicing, "another answer when asked again"),
        (halfway, "deviations from E"),
        (curt, "without saying why"),
    ],
)
def test_a_broken_method(broken: Any, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_method(broken, exact=EXACT["diffpir" if broken is halfway else "none"])


def test_a_method_takes_what_it_is_said_to_take() -> None:
    known = Observation(torch.ones(1, 1, 5, 4).double(), Degradation(Mask(torch.ones(1, 1, 5, 4))))
    check_method(METHODS["replace"], observations=[known])
    reduced = Observation(torch.ones(1, 1, 3, 3).double(), Degradation(Resample((5, 4), (3, 3))))
    with pytest.raises(AssertionError, match=r"refuses Resample.*needs a mask"):
        check_method(METHODS["replace"], observations=[reduced])


def forgetful(denoiser: Any, x_t: Any, t: Any, s: Any, noise: Any, previous: Any) -> Any:
    """Leaves out the noise of DDPM's step."""
    p = denoiser(x_t, t)
    return denoiser.schedule.posterior(x_t, p.x_0, s, t).mean, p


def lucky(denoiser: Any, x_t: Any, t: Any, s: Any, noise: Any, previous: Any) -> Any:
    """The one-step kernel's noise from torch's own generator."""
    p = denoiser(x_t, t)
    law = denoiser.schedule.posterior(x_t, p.x_0, s, t)
    return law.mean + law.variance.sqrt() * torch.randn_like(x_t), p


def toy(denoiser: Any, x_t: Any, t: Any, s: Any, noise: Any, previous: Any) -> Any:
    """Takes x_0 for x_s: the mean is right at the end alone."""
    p = denoiser(x_t, t)
    return over(denoiser.schedule(s)[0], x_t) * (p.x_0 + 0.1), p


def curious(denoiser: Any, x_t: Any, t: Any, s: Any, noise: Any, previous: Any) -> Any:
    denoiser(x_t, t), denoiser(x_t, t)
    return ddim(denoiser, x_t, t, s, noise, previous)


def endless(denoiser: Any, x_t: Any, t: Any, s: Any, noise: Any, previous: Any) -> Any:
    """Divides by the noise of where it goes to."""
    x_s, p = ddim(denoiser, x_t, t, s, noise, previous)
    sigma = over(denoiser.schedule(s)[1], x_t)
    return x_s / sigma * sigma, p


def noisy(
    denoiser: Any, x_t: Any, t: Any, s: Any, noise: Any, previous: Any, *, more: float = 0.0
) -> Any:
    """Has an option that nobody explains."""
    return ddim(denoiser, x_t, t, s, noise, previous, eta=more)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (noisy, "says nothing of the option 'more'"),
        (forgetful, "times the variance"),
        (lucky, "draws from elsewhere than its Noise"),
        (toy, "its mean is off"),
        (curious, "says 1 evaluations a step, and takes"),
        (endless, "x_s is not finite at the clean end"),
    ],
)
def test_a_broken_sampler(broken: Any, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_sampler(broken)


class Answering(nn.Module):
    """A mean of 3 x 3 pixels for x_0, with data of deviation 1, and a fault."""

    def __init__(self, fault: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.fault = fault

    def forward(self, x: Tensor, log_noise: Tensor) -> Tensor:
        x = x * (log_noise.exp() ** 2 + 1).sqrt()[:, None, None, None]
        return self.fault(nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False))


def prior_with(fault: Callable[[Tensor], Tensor], halo: int | None = 1) -> NetworkDenoiser:
    return NetworkDenoiser(Answering(fault), linear(), "x_0", sigma_data=1.0, halo=halo)


class Clamping(NetworkDenoiser):
    def forward(self, x_t: Tensor, t: Tensor) -> Prediction:
        return super().forward(x_t.clamp_(-1, 1), t)


class Boastful(NetworkDenoiser):
    def variance(self, t: Tensor) -> Tensor:
        return -super().variance(t)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (prior_with(lambda x: x[..., :-1]), "x_0 is"),
        (prior_with(lambda x: x / 0), "not finite at t = 0.0"),
        (prior_with(torch.rand_like), "says something else"),
        (prior_with(lambda x: x - x.mean((2, 3), keepdim=True)), "sees 1 pixels far"),
        (prior_with(lambda x: x, halo=0), "sees 0 pixels far"),
        (Clamping(Answering(lambda x: x), linear(), "x_0"), "changed the state"),
        (Boastful(Answering(lambda x: x), linear(), "x_0"), "variance"),
    ],
)
def test_a_broken_prior(broken: NetworkDenoiser, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_prior(broken, sound=False)


def test_a_prior_is_what_it_says_before_it_is_loaded() -> None:
    loaded = prior_with(lambda x: x)
    said = priors.Prior("grey", (), 1, None, 1, {}, lambda *_: loaded)
    with pytest.raises(AssertionError, match=r"\(1, 1\) before it is loaded, and \(3, 1\) after"):
        check_prior(said)


def test_a_prior_must_be_sound_unless_it_is_not_trained() -> None:
    network = random_network(LOCAL["uneven"]).float()
    config = LOCAL["uneven"]
    untrained = NetworkDenoiser(network, linear(), halo=config.halo, multiple=config.multiple)
    check_prior(untrained, sound=False)
    with pytest.raises(AssertionError, match="times the noise that it is told"):
        check_prior(untrained)
    with pytest.raises(AssertionError, match="from clean photos"):
        check_prior(prior_with(lambda x: x + 20 / 255))


def mae(restored: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    return float(np.abs(restored - reference).mean() / data_range)


def lower(metric: Any) -> Any:
    """The same, as a distance."""

    def measured(*pictures: Any) -> Any:
        return metric(*pictures)

    measured.higher_is_better = False  # type: ignore[attr-defined]
    return measured


def bright(restored: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    restored += 1
    return psnr(restored, reference, data_range)


def spread(restored: np.ndarray, data_range: float) -> float:
    """Contrast: without a reference, the more the better."""
    return float(np.abs(np.diff(restored, axis=0)).mean() / data_range)


spread.needs_reference = False  # type: ignore[attr-defined]


def test_metrics_with_traits() -> None:
    check_metric(lower(mae))
    check_metric(spread)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (mae, "must fall with more noise"),
        (lower(psnr), "must rise with more noise"),
        (lower(lambda a, b, _: float(np.abs(a - b).mean())), "use data_range"),
        (lower(lambda *given: np.float32(mae(*given))), "gave a float32"),
        (lower(lambda *_: float("nan")), "gave NaN"),
        (bright, "changed the pictures"),
        (lambda a, b, p: 0.0 if np.array_equal(a, b) else psnr(a, b, p), "for equals"),
        (
            lambda a, b, p: psnr(a[: len(b)], b[: len(a)], p),
            "for pictures of different sizes",
        ),
    ],
)
def test_a_broken_metric(broken: Metric, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_metric(broken)


# --- A plugin for a test --------------------------------------------------------------------


def module(name: str, **hooks: Callable[..., Any]) -> types.ModuleType:
    made = types.ModuleType(name)
    vars(made).update({hook: hookimpl(function) for hook, function in hooks.items()})
    return made


def test_an_installed_plugin_is_there_for_a_while() -> None:
    def restorekit_tasks() -> Iterable[Task]:
        return [Plain()]

    def restorekit_metrics() -> Mapping[str, Metric]:
        return {"mae": lower(mae)}

    picture = np.full((8, 8, 3), 128, np.uint8)
    mine = module("mine", restorekit_tasks=restorekit_tasks, restorekit_metrics=restorekit_metrics)
    with installed(mine) as registry:
        assert {"plain", "denoise"} <= set(registry.tasks)
        assert "mae" in plugins.registry().offered("metric")
        assert restorekit.restore("plain", picture).shape == picture.shape
    assert "plain" not in plugins.registry().tasks
    with pytest.raises(restorekit.RestorekitError, match="unknown"):
        restorekit.restore("plain", picture)


def test_a_broken_plugin_is_not_installed() -> None:
    with pytest.raises(AssertionError, match=r"plugin slip: .*restorekit_taks"):
        installed(module("slip", restorekit_taks=lambda: [])).__enter__()
