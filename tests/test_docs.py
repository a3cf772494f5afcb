"""What the documents show is what there is, and does what they say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from skimage import data

from restorekit import images, metrics
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
    assert np.abs(images.read("whole.png").pixels[::2].astype(int) - clean[::2]).max() <= 1
    assert psnr("whole.png", clean) > psnr("halved.png", clean) + 10
    assert psnr("whole.png", clean) > psnr("between.png", clean) + 1
