"""A stranger's plugin works like ours; a broken one is reported, and harms nobody else."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from restorekit import cli, images, plugins, priors
from restorekit.hookspecs import hookimpl
from restorekit.images import Photo
from restorekit.plugins import Registry

from .sites import install

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

THIRD_PARTY = Path(__file__).parent / "thirdparty"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the third party's package and, beside it, all kinds of broken ones."""
    site = tmp_path_factory.mktemp("site")
    project = tomllib.loads((THIRD_PARTY / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["restorekit"]
    install(site, project["name"], points, project["version"])
    for module in points.values():
        shutil.copy(THIRD_PARTY / f"{module}.py", site)

    (site / "sinks.py").write_text("raise OSError('no driver\\nfor this card')")
    install(site, "sinks", {"sinks": "sinks"})
    # It comes before ours in the alphabet, and wants the name of a task of ours.
    thief = """
from restorekit.hookspecs import hookimpl
from restorekit.task import Recipe, Task
class Mine(Task):
    name, summary = "denoise", "Stolen."
    recipes = {"fidelity": Recipe("none", "ddim", 1)}
    def observe(self, picture): pass
@hookimpl
def restorekit_tasks(): return [Mine()]
"""
    (site / "thief.py").write_text(thief)
    install(site, "a-thief", {"aaa": "thief"})
    # Its lazy import fails only when somebody asks for methods; and its name is one of ours.
    lazy = """
from restorekit.hookspecs import hookimpl
@hookimpl
def restorekit_methods(): import not_installed_here
"""
    (site / "lazy.py").write_text(lazy)
    install(site, "lazy", {"builtin": "lazy"})
    return site


def restorekit(site: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """The command line as a process of its own, in that environment."""
    command = [sys.executable, "-m", "restorekit", *arguments]
    environment = os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == code, ended
    return ended


def test_third_party_is_short_and_uses_public_names() -> None:
    (module,) = THIRD_PARTY.glob("restorekit_*.py")
    text = module.read_text()
    assert len(text.splitlines()) <= 40
    assert "._" not in text and "import _" not in text


def test_task_is_in_the_help(site: Path) -> None:
    overview = restorekit(site, "--help")
    assert "depixelate  Turn a mosaic back into a photo." in overview.stdout
    assert "Remove noise." in overview.stdout and "Stolen." not in overview.stdout
    assert overview.stderr == ""
    own = restorekit(site, "depixelate", "--help").stdout
    assert "--block INTEGER RANGE" in own and "Squares' side." in own
    assert "--seed" in own and "--on-exists" in own  # what all tasks share comes by itself


def test_the_help_asks_strangers_for_tasks_alone(site: Path) -> None:
    """So that it costs little more with them: nothing heavy, and no methods, are imported."""
    code = "import sys; from restorekit.cli import main; main(['--help']); print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(site)}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    loaded = set(ended.stdout.splitlines()[-1].split())
    assert {"restorekit_depixelate", "lazy"} <= loaded
    assert not loaded & {"torch", "numpy", "cv2", "kornia", "skimage", "restorekit.metrics"}


def test_plugins_are_listed(site: Path) -> None:
    listed = json.loads(restorekit(site, "plugins", "--json", code=1).stdout)
    found = {(plugin["package"], plugin["name"]): plugin for plugin in listed}
    theirs = found["restorekit-depixelate", "depixelate"]
    assert theirs["version"] == "1.0" and theirs["tasks"] == ["depixelate"]
    assert theirs["hooks"] == ["restorekit_tasks"] and theirs["problem"] == ""
    assert 0 < theirs["seconds"] < 3
    ours = found["restorekit", "builtin"]
    offered = {kind: set(ours[kind]) for kind in ("methods", "samplers", "priors")}
    some = {"methods": {"diffpir"}, "samplers": {"snore"}, "priors": {"photo"}}
    assert all(offered[kind] >= names for kind, names in some.items())
    assert found["sinks", "sinks"]["problem"] == "import failed, OSError: no driver for this card"
    assert "'denoise' is already taken" in found["a-thief", "aaa"]["problem"]
    assert "not_installed_here" in found["lazy", "builtin"]["problem"]
    sound = {plugin["package"] for plugin in listed if not plugin["problem"]}
    assert sound == {"restorekit", "restorekit-depixelate"}


def test_third_party_restores_a_photo(site: Path, tmp_path: Path) -> None:
    """A picture of squares becomes more like the photo it was, seen in the squares' midst."""
    clean = data.chelsea()[60:124, 100:164]
    small = cv2.resize(clean, (16, 16), interpolation=cv2.INTER_AREA)
    mosaic = small.repeat(4, axis=0).repeat(4, axis=1)
    source, target = tmp_path / "mosaic.png", tmp_path / "photo.png"
    images.write(source, Photo(mosaic))
    ended = restorekit(site, "depixelate", str(source), "-o", str(target), "--block", "4")
    assert ended.stdout == f"{target}\n"
    # Methods were asked for: the plugin that cannot give its own is told of, and left out.
    assert "lazy" in ended.stderr and "not_installed_here" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    restored = images.read(target).pixels
    before, after = (np.square(p.astype(float) - clean).mean() for p in (mosaic, restored))
    assert after < 0.8 * before
    again = cv2.resize(restored, (16, 16), interpolation=cv2.INTER_AREA)
    assert np.abs(again.astype(int) - small).max() <= 1


def test_missing_weights_of_a_plugin_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And take nothing else down."""

    @hookimpl
    def restorekit_priors() -> dict[str, Path]:
        return {"lost": tmp_path / "lost.safetensors"}

    module = types.ModuleType("plugin_lost")
    vars(module)["restorekit_priors"] = restorekit_priors
    monkeypatch.setitem(sys.modules, module.__name__, module)
    modules = {"builtin": "restorekit.builtin", "lost": module.__name__}
    points = [importlib.metadata.EntryPoint(n, m, "restorekit") for n, m in modules.items()]
    monkeypatch.setattr(plugins, "registry", lambda: Registry(points))
    assert cli.main(["priors", "list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines.keys() == {"lost", *priors.shipped()}
    assert lines["lost"].split()[1:] == ["missing", str(tmp_path / "lost.safetensors")]
    assert " MB " in lines["photo"] and lines["photo"].index("/") == lines["lost"].index("/")
