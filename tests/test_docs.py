"""What the documents show is what there is, and does what they say."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from skimage import data

from restorekit import hookspecs, images, metrics
from restorekit.testing import check_task, installed

from .commands import run, save

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "docs/examples/deinterlace"


def blocks(document: str, language: str = "python") -> list[str]:
    """The code of a document, block by block."""
    parts = (ROOT / document).read_text().split("```")[1::2]
    return [code for name, _, code in (p.partition("\n") for p in parts) if name == language]


def files_of(document: str) -> list[tuple[str, str]]:
    """The files that a document writes: name and text of each block, in order."""
    pattern = r"^```python file=(\S+)\n((?:.*\n)*?)```$"
    return re.findall(pattern, (ROOT / document).read_text(), re.MULTILINE)


def module_of(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_quotes_its_plugin() -> None:
    readme = (ROOT / "README.md").read_text()
    assert (EXAMPLE / "restorekit_deinterlace.py").read_text() in blocks("README.md")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    for name, module in project["entry-points"]["restorekit"].items():
        assert f'    [project.entry-points.restorekit]\n    {name} = "{module}"\n' in readme


def psnr(name: str, clean: np.ndarray) -> float:
    return metrics.psnr(images.read(name).pixels.astype(float), clean.astype(float), 255)


@pytest.mark.usefixtures("here")
def test_readmes_plugin_mends_photos() -> None:
    """It beats what it is given and, by a decibel, the mean of the lines above and below."""
    clean = data.astronaut()[100:165, 180:260]
    halved, between = clean.copy(), clean.copy()
    halved[1::2] = 0
    between[1::2] = (clean[:-1:2].astype(float) + clean[2::2]) / 2
    save("halved.png", halved)
    save("between.png", between)
    with installed(module_of(EXAMPLE / "restorekit_deinterlace.py")) as registry:
        assert run("deinterlace halved.png -o whole.png --odd") == 0
        check_task(registry.task("deinterlace"))
        save("line.png", clean[:1])
        assert run("deinterlace line.png -o one.png") == 0
    assert np.abs(images.read("whole.png").pixels[::2].astype(int) - clean[::2]).max() <= 1
    assert psnr("whole.png", clean) > psnr("halved.png", clean) + 10
    assert psnr("whole.png", clean) > psnr("between.png", clean) + 1


def test_the_hooks_reference_is_what_the_code_says() -> None:
    """After a change of docstrings: `python docs/hooks.py`."""
    written = module_of(ROOT / "docs/hooks.py").page()
    assert (ROOT / "docs/hooks.md").read_text() == written
    hooks = {name for name in vars(hookspecs) if name.startswith("restorekit_")}
    assert len(hooks) > 5 and all(f"### `{hook}`" in written for hook in hooks)
    # What a sampler is given, and must give.
    assert all(f".{name}`\n" in written for name in ("Step", "Previous", "Prediction", "Noise"))
    assert "\n        previous: " in written and "\nprox(self" in written


@pytest.mark.usefixtures("here")
def test_a_method_from_its_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page makes of a new package is light, checks itself, and fills holes as ours."""
    assert run("plugins new ddnm17 --kind method -o package") == 0
    texts: dict[str, list[str]] = {}
    for file, text in files_of("docs/a-method-from-its-paper.md"):
        texts.setdefault(file, []).append(text)
    for file, parts in texts.items():
        Path("package", file).write_text("\n\n".join(parts))
    heavy = "import sys, restorekit_ddnm17; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", heavy], cwd="package", check=True)
    monkeypatch.syspath_prepend("package")
    package = importlib.import_module("restorekit_ddnm17")
    module_of(Path("package/tests/test_ddnm17.py")).test_method()
    page = ModuleType("page")
    for code in blocks("docs/a-method-from-its-paper.md"):
        exec(compile(code, "a-method-from-its-paper.md", "exec", dont_inherit=True), vars(page))
    clean = data.chelsea()[60:92, 110:150]
    hole = np.random.default_rng(0).random(clean.shape[:2]) < 0.4
    damaged = np.where(hole[..., None], 0, clean).astype(np.uint8)
    with installed(package):
        filled = [page.filled(damaged, hole, method=m) for m in ("ddnm", "ddnm13", "ddnm17")]
        half = page.filled(damaged, hole, method="ddnm17", tuning={"share": 0.5})
    shipped, *theirs = (x.astype(float) for x in filled)
    assert all(np.abs(x - shipped).max() <= 1 for x in theirs)
    assert metrics.psnr(shipped, clean.astype(float), 255) > 26
    assert not np.array_equal(half, filled[0])


SHIM = """#!/bin/sh
exec "{python}" -m {command}
"""
COMMANDS = {
    "restorekit": 'restorekit "$@"',
    "pip": 'pip --quiet --disable-pip-version-check "$@" --no-deps --no-build-isolation',
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A virtual environment that has all that this one has, for pip to install into."""
    for needed in ("pip", "hatchling", "editables"):
        pytest.importorskip(needed)
    outer = sysconfig.get_path("purelib")
    made = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    (site,) = made.glob("lib/python*/site-packages")
    (site / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n")
    for name, command in COMMANDS.items():
        shim = made / "bin" / name
        shim.write_text(SHIM.format(python=made / "bin/python", command=command))
        shim.chmod(0o755)
    path = os.pathsep.join([str(made / "bin"), os.environ["PATH"]])
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return own | {"PATH": path, "OMP_NUM_THREADS": "1", "PIP_ROOT_USER_ACTION": "ignore"}


def test_the_tutorial(here: Path, environment: dict[str, str]) -> None:
    """Every command, in order, says what the page says; dots are anything."""
    cat = data.chelsea()[60:124, 110:206]
    save("photos/cat.png", cat)
    shifted = np.zeros_like(cat, dtype=float) + 127.5
    shifted[4:, 6:] = cat[:-4, :-6]
    save("photo.jpg", (0.7 * cat + 0.3 * shifted).round().astype(np.uint8))
    folder = here
    page = (ROOT / "docs/plugins.md").read_text()
    for info, text in re.findall(r"^```(\S+.*)\n((?:.*\n)*?)```$", page, re.MULTILINE):
        if info.startswith("python file="):
            (here / info.partition("=")[2]).write_text(text)
            continue
        assert info == "console"
        for asked in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, expected = asked.partition("\n")
            if command.startswith("cd "):
                folder = here / command[3:]
                continue
            ended = subprocess.run(
                command, shell=True, cwd=folder, env=environment, capture_output=True, text=True
            )
            assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
            said, told = (re.sub(" +", " ", output) for output in (ended.stdout, expected))
            pattern = re.escape(told).replace(r"\.\.\.", ".*")
            assert re.fullmatch(pattern, said), f"{command}:\n{ended.stdout}"
    before, after = (psnr(name, cat) for name in ("photo.jpg", "clean.png"))
    assert after > before + 5
