"""For tests of plugins: folders that look like what pip installs them into."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from restorekit import images, plugins
from restorekit.plugins import Plugin

from .commands import run, save

START = """
import click
from restorekit.hookspecs import hookimpl
from restorekit.task import Problem, Recipe, Task

class Wash(Task):
    name = "{name}"
    summary = "Leave a photo as it is."
    recipes = {{"fidelity": Recipe("none", "ddim", steps=1)}}

    def observe(self, picture, **options):
        from restorekit.engine.conditioning import Degradation, Observation
        from restorekit.engine.operators import Identity
        x = picture.pixels
        return Problem(Observation(x, Degradation(Identity())), x.shape[2:], x, 0.0, True)
"""
TASKS = "\n@hookimpl\ndef restorekit_tasks(): return [Bad()]\n"
HEALTHY = START.format(name="wash") + "\n@hookimpl\ndef restorekit_tasks(): return [Wash()]\n"


def task(body: str) -> str:
    """A module with a task of its own that differs from a sound one in its body."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return START.format(name="bad") + f"\nclass Bad(Wash):\n{lines}" + TASKS


def recipe(how: str) -> str:
    return task(f"recipes = {{'fidelity': Recipe({how})}}")


def hook(name: str, body: str, marker: str = "@hookimpl") -> str:
    return f"from restorekit.hookspecs import hookimpl\n{marker}\ndef restorekit_{name}: {body}\n"


def install(
    site: Path,
    name: str,
    points: Mapping[str, str],
    version: str = "1.0",
    requires: Sequence[str] = ("restorekit",),
) -> None:
    """Leaves what pip leaves: metadata with the entry points, beside the modules.

    By hand, since pip would need a build backend, which a fresh machine has not got.
    """
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    text += "".join(f"Requires-Dist: {line}\n" for line in requires)
    (folder / "METADATA").write_text(text)
    lines = [f"{point} = {module}\n" for point, module in points.items()]
    (folder / "entry_points.txt").write_text("[restorekit]\n" + "".join(lines))


@pytest.fixture
def installed(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Plugin]]:
    """Installs a package named `bad`, beside a sound one, and gives what becomes of it."""
    loaded = set(sys.modules)
    monkeypatch.syspath_prepend(here / "site")

    def put(code: str, requires: Sequence[str] = ("restorekit",)) -> Plugin:
        for name, text in (("healthy", HEALTHY), ("bad", code)):
            install(here / "site", name, {name: name}, "2.5", requires if name == "bad" else ())
            (here / "site" / f"{name}.py").write_text(text)
        plugins.registry.cache_clear()
        return next(p for p in plugins.registry().examined() if p.package == "bad")

    yield put
    plugins.registry.cache_clear()
    for name in ("healthy", "bad"):
        if name not in loaded:
            sys.modules.pop(name, None)


def all_else_works(capfd: pytest.CaptureFixture[str]) -> None:
    """The help, a stranger's task and one of ours."""
    plugins.registry.cache_clear()  # as each command is a process of its own
    photo = np.random.default_rng(0).integers(0, 255, (12, 13, 3), np.uint8)
    save("in.png", photo)
    capfd.readouterr()
    assert run("--help") == 0
    told = capfd.readouterr()
    assert "wash" in told.out and "Remove noise." in told.out and told.err == ""
    assert run("wash in.png -o washed.png --prior photo-fast --on-exists overwrite") == 0
    assert np.array_equal(images.read("washed.png").pixels, photo)
    assert run("denoise in.png -o out.png --sigma 20 --prior photo-fast --on-exists overwrite") == 0
    assert images.read("out.png").pixels.shape == photo.shape
    assert run("priors list") == 0
    assert capfd.readouterr().out.splitlines()[-1].startswith("scene64")
