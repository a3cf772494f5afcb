"""Priors of any kind: opened by the plugin that knows them, or given as objects."""

from __future__ import annotations

import importlib.metadata
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import restorekit
from restorekit import RestorekitError, plugins, priors
from restorekit.choices import Choices
from restorekit.engine.schedule import linear
from restorekit.hookspecs import hookimpl
from restorekit.loading import find_prior, load_prior
from restorekit.plugins import Registry
from restorekit.priors import Prior
from restorekit.restorer import Restorer
from restorekit.testing import GaussianPrior

CPU = torch.device("cpu")


def gaussian(name: str = "gaussian", files: tuple[Path, ...] = ()) -> Prior:
    def load(device: torch.device, precision: str) -> GaussianPrior:
        return GaussianPrior(torch.zeros(1, 3, 1, 1), 0.25, linear())

    return Prior(name, files, 3, None, 0, {"mean": 0, "variance": 0.25}, load)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs modules of these names and hooks, after ours."""

    def install(**modules: dict[str, Any]) -> None:
        named = {"builtin": "restorekit.builtin", "denoise": "restorekit_denoise"}
        for name, hooks in modules.items():
            module = types.ModuleType(f"plugin_{name}")
            vars(module).update(hooks)
            monkeypatch.setitem(sys.modules, module.__name__, module)
            named[name] = module.__name__
        points = [importlib.metadata.EntryPoint(n, m, "restorekit") for n, m in named.items()]
        registry = Registry(points)
        monkeypatch.setattr(plugins, "registry", lambda: registry)

    return install


def test_the_first_plugin_that_knows_a_path_opens_it(
    installed: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One that raises is named and passed over; what says why a file is wrong is heard."""

    @hookimpl
    def restorekit_open_prior(path: Path) -> Prior | None:
        raise SystemExit("no")

    raises = {"restorekit_open_prior": restorekit_open_prior}

    @hookimpl(specname="restorekit_open_prior")
    def opens(path: Path) -> Prior | None:
        if path.suffix == ".broken":
            raise RestorekitError(f"{path}: torn")
        return gaussian("theirs", (path,)) if path.suffix == ".theirs" or path.is_dir() else None

    installed(a=raises, b={"restorekit_open_prior": opens})
    mine, torn, other = (tmp_path / f"mine.{kind}" for kind in ("theirs", "broken", "other"))
    for path in (mine, torn, other):
        path.touch()
    found = find_prior(str(mine))
    assert found.name == "theirs" and "plugin a of ?" in caplog.text and "SystemExit" in caplog.text
    assert find_prior(str(mine)) is found and find_prior(found) is found
    assert load_prior(found, CPU, "float32") is load_prior(found, CPU, "float32")
    assert find_prior(str(tmp_path)).name == "theirs"
    with pytest.raises(RestorekitError, match="torn"):
        find_prior(str(torn))
    with pytest.raises(RestorekitError, match="not a prior of any kind known here"):
        find_prior(str(other))
    with pytest.raises(RestorekitError, match="No such file"):
        find_prior(str(tmp_path / "missing.theirs"))


def test_ours_is_opened_by_its_header(tmp_path: Path) -> None:
    found = find_prior("photo")
    assert (found.name, found.channels, found.levels) == ("photo", 3, (0.005, 150.0))
    assert found.files == (priors.shipped()["photo"],) and found.described["name"] == "photo"
    loaded = load_prior(found, CPU, "float32")
    assert loaded.halo == found.halo and loaded.bound and loaded.turned and loaded.window == 96


def test_a_prior_as_an_object_goes_all_the_way() -> None:
    """The closed form, E[x_0 | y] = y c / (c + s^2) of a mean of grey, through a restoration."""
    y = np.random.default_rng(0).random((40, 52, 3)).astype(np.float32)
    sigma = 0.1
    restored = restorekit.restore("denoise", y, sigma=sigma, prior=gaussian(), tile=32)
    gain = 0.25 / (0.25 + (2 * sigma) ** 2)
    np.testing.assert_allclose(restored, 0.5 + gain * (y - 0.5), atol=2e-3)
    restorer = Restorer(plugins.registry().task("denoise"), Choices(prior=gaussian()))
    assert restorer.prior_name == "gaussian" and len(restorer.weights) == 64
