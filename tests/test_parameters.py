"""Options of methods and samplers: found, checked, bound, and told wherever a run is told of."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from skimage import data

import restorekit
from restorekit import images, parameters
from restorekit.chain import alone
from restorekit.chain_text import from_file, of
from restorekit.choices import Choices
from restorekit.engine.conditioning import METHODS, Degradation, Observation
from restorekit.engine.declared import MethodTraits, Range, StepTraits, marked, of_method, of_step
from restorekit.engine.noise import Noise
from restorekit.engine.operators import Identity
from restorekit.engine.sampler import STEPS, ddim, hqs, sample, snore, times_for
from restorekit.errors import RestorekitError
from restorekit.given import resolve
from restorekit.plugins import registry
from restorekit.priors import Prior
from restorekit.testing import GaussianPrior
from restorekit.watching import Counted

from .commands import run, save

CAT = data.chelsea()[100:124, 100:128]
PRIOR = GaussianPrior(torch.zeros(1, 3, 6, 5), 0.25)
FAST: dict[str, Any] = {"prior": "photo-fast", "steps": 3}


def anything(
    x: int,
    *,
    needed: float,
    eta: Annotated[float, Range(0, 1)] = 0.5,
    count: Annotated[int, Range(least=1)] = 3,
    exact: bool = False,
    prompt: str | None = None,
    kernel: Callable[[float], float] = abs,
) -> None:
    """Does nothing.

    Args:
        x: no option, as it has no default.
        eta: how much, of all
            that there is.
        prompt: what to see.

    Returns:
        eta: nothing.
    """


def test_options_are_what_the_signature_says() -> None:
    found = parameters.of(functools.partial(anything, eta=0.25))
    assert list(found) == ["eta", "count", "exact", "prompt"]
    eta, count, exact, prompt = found.values()
    assert (eta.kind, eta.default, eta.range) == (float, 0.25, Range(0, 1))
    assert eta.help == "how much, of all that there is." and count.help == ""
    assert (count.kind, exact.kind, prompt.kind) == (int, bool, str)
    assert [exact.value("yes"), exact.value(True), count.value("4"), prompt.value("a=b, c")] == [
        True,
        True,
        4,
        "a=b, c",
    ]
    assert parameters.of(functools.wraps(anything)(lambda: None)).keys() == found.keys()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"eta": 2}, "option eta: 2.0 is not in the range"),
        ({"eta": "nan"}, "finite"),
        ({"eta": "much"}, "option eta: 'much' is not a valid number"),
        ({"momentum": True}, "option momentum"),
        ({"eta": [0.5]}, "option eta"),
        ({"size": 1}, "'size' to give: method 'm' has eta, count, .*; sampler 's' has momentum"),
        ({"sampler.eta": 1}, "'sampler.eta' to give: .* has momentum$"),
        ({"snore.momentum": 1}, "has momentum; before the dot stands method or sampler$"),
        ({"count": 2.7}, "option count"),
        ({"count": "0"}, "option count"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(RestorekitError, match=message):
        parameters.dealt(given, {"method": ("m", anything), "sampler": ("s", snore)})


def test_a_name_goes_to_whoever_has_it() -> None:
    both = {"method": ("m", anything), "sampler": ("s", ddim)}
    with pytest.raises(RestorekitError, match=r"write method\.eta or sampler\.eta"):
        parameters.dealt({"eta": 0.1}, both)
    given = {"sampler.eta": "0.1", "method.eta": 0.5, "zeta": 1, "count": None}
    assert parameters.dealt(given, both) == {"method": {}, "sampler": {"eta": 0.1, "zeta": 1.0}}


def settings(**how: Any) -> Any:
    task = registry().task("superres")
    return alone(task, Choices(**FAST, **how), resolve(task, {})).opened().settings


def test_a_command_takes_them_and_a_run_tells_them(here: Path) -> None:
    save("in.png", CAT)
    line = "superres in.png --prior photo-fast --steps 3 --sigma 0 --quiet"
    assert run(f"{line} --sampler ddim-eta1 -o named.png") == 0
    assert run(f"{line} --sampler ddim --with eta=1 -o tuned.png") == 0
    assert run(f"{line} --sampler ddim -o plain.png") == 0
    named, tuned, plain = (images.read(f"{n}.png") for n in ("named", "tuned", "plain"))
    assert np.array_equal(named.pixels, tuned.pixels)
    assert not np.array_equal(named.pixels, plain.pixels)
    made = dict(tuned.metadata)["xmp"].decode()
    assert "ddim, 3 steps, sampler.eta=1.0" in made
    python = restorekit.restore("superres", CAT, sigma=0, sampler="ddim", tuning={"eta": 1}, **FAST)
    assert np.array_equal(python, tuned.pixels)

    assert settings() == settings(tuning={"momentum": "0.8"})  # the default
    assert settings() != settings(tuning={"momentum": 0.7})
    assert settings() != settings(travel=(2, 2))

    save("clean/a.png", CAT)
    tried = (
        "benchmark superres clean --sigma 0 --prior photo-fast --steps 2 --quiet --json report.json"
    )
    assert run(f"{tried} --with momentum=0.5 --with weight=2 --travel 1,2") == 0
    report = json.loads(Path("report.json").read_text())
    assert report["tuning"] == {"method.weight": 2.0, "sampler.momentum": 0.5}
    assert report["recipe"]["travel"] == [1, 2] and report["nfe"] == 1 + 6


def test_chains_and_configuration_files_say_the_same(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "superres sampler=ddim steps=3 prior=photo-fast with=eta=0.5 with=zeta=0.25 travel=2,2"
    step = {"sampler": "ddim", **FAST, "tuning": {"eta": "0.5", "zeta": "0.25"}, "travel": (2, 2)}
    Path("c.toml").write_text(
        "[[step]]\ntask = 'superres'\nsampler = 'ddim'\nsteps = 3\nprior = 'photo-fast'\n"
        "with = ['eta=0.5', 'zeta=0.25']\ntravel = '2,2'\n"
    )
    chains = of(line, Choices()), of([("superres", step)], Choices())
    assert chains[0] == chains[1] == from_file(Path("c.toml"), Choices())
    with pytest.raises(RestorekitError, match="LENGTH,REPEATS"):
        of("superres travel=2", Choices())

    save("in.png", CAT)
    Path("config.toml").write_text("[superres]\nsampler = 'ddim'\nsteps = 3\nwith = ['eta=0.5']\n")
    monkeypatch.setenv("RESTOREKIT_CONFIG", "config.toml")
    assert run("superres in.png -o out.png --quiet") == 0
    assert "sampler.eta=0.5" in dict(images.read("out.png").metadata)["xmp"].decode()
    assert run("superres in.png -o travelled.png --quiet --travel 2,2") == 0
    made = dict(images.read("travelled.png").metadata)["xmp"].decode()
    assert "3 steps, travel=2,2, sampler.eta=0.5" in made


def test_they_are_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("samplers --json") == 0
    listed = json.loads(capfd.readouterr().out)
    assert listed["snore"]["traits"]["evaluations"] == 2
    (momentum,) = listed["snore"]["options"]
    assert (momentum["name"], momentum["type"], momentum["default"]) == ("momentum", "float", 0.8)
    assert momentum["help"].startswith("how much of each change")
    for command in ("methods", "samplers"):
        assert run(command) == 0
        out = capfd.readouterr().out
        assert set(registry().offered(command[:-1])) <= {
            line.split()[0] for line in out.split("\n") if line
        }


def under_another_name(*given: Any, **options: Any) -> Any:
    """What a plugin might write around a step of ours."""
    return hqs(*given, **options)


@pytest.mark.parametrize(
    "same",
    [functools.partial(hqs), functools.wraps(hqs)(under_another_name)],
    ids=["partial", "wraps"],
)
def test_a_step_under_another_name_gives_the_same_pixels(
    same: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = registry().offered

    def with_ours(kind: str) -> dict[str, Any]:
        return offered(kind) | ({"other": same} if kind == "sampler" else {})

    monkeypatch.setattr(registry(), "offered", with_ours)
    known, other = (
        restorekit.restore("superres", CAT, sampler=n, **FAST) for n in ("hqs", "other")
    )
    assert np.array_equal(known, other)


def test_traits_have_defaults_and_are_kept() -> None:
    assert of_step(lambda *_: None) == StepTraits() == of_step(functools.partial(ddim, eta=1.0))
    assert of_step(functools.partial(snore, momentum=0.5)) == of_step(snore) != StepTraits()
    assert of_method(METHODS["none"]) == MethodTraits(keeps_state=True, conditions=False)

    @marked(StepTraits(turning=True))
    def mine() -> None: ...

    quiet = functools.partial(mine)
    quiet.turning = False  # type: ignore[attr-defined]
    assert of_step(mine).turning and not of_step(quiet).turning


@pytest.mark.parametrize("name", list(STEPS))
def test_a_step_asks_as_often_as_it_says(name: str) -> None:
    counted = Counted(PRIOR, Counter())
    times = times_for(PRIOR.schedule, 4, start=0.5)
    sample(counted, torch.zeros(1, 3, 6, 5), times, step=STEPS[name], noise=Noise(0))
    evaluations = of_step(STEPS[name]).evaluations
    assert counted.evaluations in (4 * evaluations, 4 * evaluations - 1)


def conditioned(method: str, sigma: float, **options: float) -> torch.Tensor:
    y = Noise(0, "y").normal((1, 3, 6, 5)).double()
    posterior = METHODS[method](PRIOR, Observation(y, Degradation(Identity(), sigma)), **options)
    return posterior(Noise(0, "x").normal(y.shape).double(), torch.tensor(0.3)).x_0


def test_options_do_what_they_say() -> None:
    """Lambda multiplies sigma_y^2 (DiffPIR eq. 10); guidance of strength 0 is none."""
    torch.testing.assert_close(conditioned("diffpir", 0.3, weight=4), conditioned("diffpir", 0.6))
    for method in ("dps", "pigdm"):
        free, half, whole = (conditioned(method, 0.3, strength=s) for s in (0, 0.5, 1))
        torch.testing.assert_close(free, conditioned("none", 0.3))
        torch.testing.assert_close(half, (free + whole) / 2)


def test_zeta_draws_its_share_of_the_noise_anew() -> None:
    """DiffPIR algorithm 1: sqrt(1 - zeta) eps_hat + sqrt(zeta) eps; all of it for zeta = 1."""
    t, s = torch.tensor([0.5, 0.2], dtype=torch.float64)
    x_t = Noise(0).normal((1, 3, 60, 50)).double()
    prior = GaussianPrior(torch.zeros(1, 3, 60, 50), 0.25)

    def moved(zeta: float) -> torch.Tensor:
        return ddim(prior, x_t, t, s, Noise(1), None, zeta=zeta)[0]  # type: ignore[no-any-return]

    fresh = Noise(1).normal(x_t.shape).double()
    (alpha, sigma), x_0 = prior.schedule(s), prior(x_t, t).x_0
    torch.testing.assert_close(moved(1.0), alpha * x_0 + sigma * fresh)
    kept = (moved(0.0) - alpha * x_0) / sigma
    torch.testing.assert_close(
        moved(0.36), alpha * x_0 + sigma * (0.8 * kept + 0.6 * fresh), rtol=1e-6, atol=1e-6
    )


def test_a_priors_own_reach_its_load() -> None:
    """Also where a task wants noise out of the way first, which the same prior then does."""
    loaded = []

    def load(device: torch.device, precision: str, *, prompt: str = "", shade: float = 0.0) -> Any:
        """Loads it.

        Args:
            prompt: what to see.
        """
        loaded.append((prompt, shade))
        return GaussianPrior(torch.full((1, 3, 1, 1), shade), 1e-4)

    flat = Prior("flat", (), 3, None, 0, {}, load)
    assert parameters.of(load)["prompt"].help == "what to see."
    how: dict[str, Any] = {"prior": flat, "tuning": {"prompt": "a=b, c", "shade": "0.5"}}
    noise = np.random.default_rng(0).integers(0, 256, CAT.shape).astype(np.uint8)
    restored = restorekit.restore("superres", noise, sigma=0.25, **how)
    assert loaded == [("a=b, c", 0.5)]
    assert abs(restored.mean() / 255 - 0.75) < 0.02
    with pytest.raises(RestorekitError, match="prior 'flat' has prompt, shade"):
        restorekit.restore("denoise", noise, prior=flat, tuning={"guidance": 7.5})


def test_the_documents_step_is_one() -> None:
    text = (Path(__file__).parent.parent / "docs" / "options.md").read_text()
    made: dict[str, Any] = {}
    exec(text.split("```python\n")[1].split("```")[0], made)
    relaxed = made["relaxed"]
    assert of_step(relaxed).noiseless
    assert parameters.of(relaxed)["share"].help == "of the way to x_0 that each step goes."
    t, s = torch.tensor([0.5, 0.2], dtype=torch.float64)
    x = torch.ones(1, 3, 6, 5, dtype=torch.float64)
    whole, none = (relaxed(PRIOR, x, t, s, Noise(0), None, share=share)[0] for share in (1, 0))
    torch.testing.assert_close(whole, hqs(PRIOR, x, t, s, Noise(0), None)[0])
    (alpha_t, _), (alpha_s, _) = PRIOR.schedule(t), PRIOR.schedule(s)
    torch.testing.assert_close(none, alpha_s / alpha_t * x)
