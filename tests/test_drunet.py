"""DRUNet as KAIR publishes it: the same numbers, in tiles too, and files that are not it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from restorekit import RestorekitError, images, plugins
from restorekit.choices import Choices
from restorekit.engine.tiling import Tiled
from restorekit.given import resolve
from restorekit.loading import find_prior, load_prior
from restorekit.restorer import Restorer
from restorekit.shot import Shot

from .commands import run, save

CPU = torch.device("cpu")
PUBLISHED = (64, 128, 256, 512), 4
SMALL = (8, 12, 16, 24), 1


def weights(widths: tuple[int, ...], blocks: int, channels: int = 3) -> dict[str, Tensor]:
    """Random ones under the published names: answers are about as large as what is asked."""
    source = torch.Generator().manual_seed(0)

    def drawn(*shape: int, fan: int, gain: float = 1.0) -> Tensor:
        return gain * torch.randn(shape, generator=source) / fan**0.5

    def residual(name: str, width: int, first: int) -> dict[str, Tensor]:
        return {
            f"{name}.{first + block}.res.{layer}.weight": drawn(
                width, width, 3, 3, fan=9 * width, gain=0.5
            )
            for block in range(blocks)
            for layer in (0, 2)
        }

    found = {"m_head.weight": drawn(widths[0], channels + 1, 3, 3, fan=9 * (channels + 1))}
    for scale, (fine, coarse) in enumerate(itertools.pairwise(widths), 1):
        found |= residual(f"m_down{scale}", fine, 0)
        found[f"m_down{scale}.{blocks}.weight"] = drawn(coarse, fine, 2, 2, fan=4 * fine)
        found[f"m_up{scale}.0.weight"] = drawn(coarse, fine, 2, 2, fan=coarse)
        found |= residual(f"m_up{scale}", fine, 1)
    found |= residual("m_body", widths[-1], 0)
    return found | {"m_tail.weight": drawn(channels, widths[0], 3, 3, fan=9 * widths[0], gain=0.2)}


def reference(w: dict[str, Tensor], noisy: Tensor, sigma: float) -> Tensor:
    """What the paper's network answers, written from the names of its weights alone."""

    def sequence(name: str, x: Tensor) -> Tensor:
        steps = {int(key.split(".")[1]) for key in w if key.startswith(f"{name}.")}
        for step in sorted(steps):
            one = f"{name}.{step}"
            if f"{one}.weight" not in w:
                h = F.conv2d(x, w[f"{one}.res.0.weight"], padding=1).relu()
                x = x + F.conv2d(h, w[f"{one}.res.2.weight"], padding=1)
            elif "down" in name:
                x = F.conv2d(x, w[f"{one}.weight"], stride=2)
            else:
                x = F.conv_transpose2d(x, w[f"{one}.weight"], stride=2)
        return x

    level = noisy.new_full((len(noisy), 1, *noisy.shape[2:]), sigma)
    x1 = F.conv2d(torch.cat([noisy, level], 1), w["m_head.weight"], padding=1)
    x2 = sequence("m_down1", x1)
    x3 = sequence("m_down2", x2)
    x4 = sequence("m_down3", x3)
    x = sequence("m_body", x4)
    x = sequence("m_up3", x + x4)
    x = sequence("m_up2", x + x3)
    x = sequence("m_up1", x + x2)
    return F.conv2d(x + x1, w["m_tail.weight"], padding=1)


def saved(path: Path, *of: Any, **how: Any) -> dict[str, Tensor]:
    state = weights(*of, **how)
    torch.save(state, path)
    return state


@pytest.mark.parametrize(
    ("size", "channels"),
    [(PUBLISHED, 3), (PUBLISHED, 1), (SMALL, 3)],
    ids=["colour", "grey", "small"],
)
def test_the_published_networks_numbers(size: Any, channels: int, tmp_path: Path) -> None:
    """To 1e-4 of [0, 1], at every level that it knows, for sides that are no multiple of 8 too."""
    state = saved(tmp_path / "drunet_color.pth", *size, channels=channels)
    found = find_prior(str(tmp_path / "drunet_color.pth"))
    assert (found.name, found.channels) == ("drunet_color", channels)
    assert found.halo == (192 if size == PUBLISHED else 48)
    assert found.levels == pytest.approx((0, 100 / 255))
    denoiser = load_prior(found, CPU, "float32")
    clean = torch.rand(2, channels, 37, 43, generator=torch.Generator().manual_seed(1))
    for sigma in (15 / 255, 50 / 255):
        t = denoiser.schedule.time_for(torch.tensor([2 * sigma]))
        with torch.inference_mode():
            x_0 = denoiser(denoiser.schedule(t)[0].float() * (2 * clean - 1), t).x_0
            padded = F.pad(clean, (0, 5, 0, 3), mode="replicate")
            expected = reference(state, padded, sigma)[..., :37, :43]
        gap = ((x_0 + 1) / 2 - expected).abs().max().item()
        print(f"{size[0]} {channels} channels, sigma {255 * sigma:.0f}: off by {gap:.1e}")
        assert gap <= 1e-4 and 0.1 < expected.std() < 1


@pytest.mark.parametrize("blocks", [1, 2])
def test_its_halo_is_exact(blocks: int, tmp_path: Path) -> None:
    """As far as a block of the grid sees, and no grid's step further: with tiles the same numbers.

    With weights and pixels that are positive nothing that is seen cancels out.
    """
    path = tmp_path / "small.pth"
    torch.save({n: w.abs() for n, w in weights((4, 6, 6, 8), blocks).items()}, path)
    denoiser = load_prior(find_prior(str(path)), CPU, "float32")
    assert denoiser.halo is not None
    side = 2 * denoiser.halo + 24
    block = slice(denoiser.halo + 8, denoiser.halo + 16)
    x = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(2)).requires_grad_()
    t = denoiser.schedule.time_for(torch.tensor([0.2]))
    denoiser(x, t).x_0[..., block, block].sum().backward()
    assert x.grad is not None
    rows = x.grad[0].sum(0).sum(1).nonzero().flatten()
    reach = max(block.start - int(rows[0]), int(rows[-1]) - (block.stop - 1))
    assert denoiser.halo - 8 < reach <= denoiser.halo
    with torch.inference_mode():
        whole = denoiser(x, t).x_0
        tiles = Tiled(denoiser, 32, denoiser.halo, 8)(x, t).x_0
    torch.testing.assert_close(tiles, whole)


@pytest.mark.usefixtures("here")
def test_a_restoration_and_a_folder_that_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    """By --prior PATH, the photo prior's tasks; in tiles the same pixels; what is done stays."""
    saved(Path("drunet_color.pth"), (8, 8, 8, 8), 1)
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        save(f"photos/{name}.png", rng.integers(0, 256, (72, 88, 3), dtype=np.uint8))
    common = "--prior drunet_color.pth --quiet"
    for more in ("-o whole.png", "-o tiled.png --tile 32"):
        assert run(f"denoise photos/a.png {more} {common} --sigma 25") == 0
    before, whole, tiled = (
        images.read(f"{name}.png").pixels.astype(int) for name in ("photos/a", "whole", "tiled")
    )
    assert np.abs(tiled - whole).max() <= 1 and not np.array_equal(whole, before)
    assert run(f"superres photos/a.png -o large.png --scale 2 --steps 2 {common}") == 0
    assert images.read("large.png").pixels.shape == (144, 176, 3)
    folder = "denoise photos -o out --prior drunet_color.pth --sigma 25"
    assert run(f"{folder} --include a.png") == 0
    capsys.readouterr()
    assert run(folder) == 0
    assert "2 restored, 1 skipped" in capsys.readouterr().err
    saved(Path("drunet_color.pth"), (8, 8, 8, 12), 1)
    assert run(folder) == 0
    assert "3 restored, 0 skipped" in capsys.readouterr().err


def test_a_level_that_is_exact_is_asked_about_once(tmp_path: Path) -> None:
    """By the prior's own option; else some noise is added, as it was not trained for less."""
    state = saved(tmp_path / "small.pth", *SMALL)
    noisy = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(3))
    pixels = noisy[0].permute(1, 2, 0).numpy()
    task, nfe = plugins.registry().task("denoise"), []
    for given in ({}, {"exact": "true"}):
        restorer = Restorer(task, Choices(prior=str(tmp_path / "small.pth"), tuning=given))
        result = restorer(Shot(pixels), **resolve(task, {"sigma": 0.1}))
        nfe.append(result.nfe)
    expected = reference(state, noisy, 0.1).clamp(0, 1)[0].permute(1, 2, 0)
    np.testing.assert_allclose(result.pixels, expected, atol=1e-5)
    assert nfe == [2, 1]


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('run')",)


def changed(state: dict[str, Any], **tensors: Any) -> dict[str, Any]:
    kept = state | {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    return {name: tensor for name, tensor in kept.items() if tensor is not None}


BROKEN: dict[str, tuple[Any, str]] = {
    "a layer less": ({"m_up2__1__res__0__weight": None}, r"m_up2.1.res.0.weight' is None"),
    "another shape": ({"m_tail__weight": torch.zeros(3, 8, 1, 1)}, r"m_tail.weight' is .*1, 1\)"),
    "no channels": ({"m_tail__weight": torch.zeros(0, 8, 3, 3)}, "it has no channels"),
    "a vector": ({"m_head__weight": torch.zeros(8)}, "m_head.weight' is "),
    "a bias": ({"m_head__bias": torch.zeros(8)}, "m_head.bias' is .*None in its network"),
    "no number": ({"m_tail__weight": torch.full((3, 8, 3, 3), torch.nan)}, "NaN"),
    "code": ({"m_tail__weight": Code()}, "cannot be read as weights"),
    "another's": ({"m_head__weight": None}, "not a prior of any kind"),
    "text": ({"m_tail__weight": "text"}, "not a prior of any kind"),
}


@pytest.mark.parametrize(("changes", "said"), BROKEN.values(), ids=BROKEN)
def test_files_that_are_not_it(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "drunet.pth"
    torch.save(changed(weights(*SMALL), **changes), path)
    with pytest.raises(RestorekitError, match=said):
        load_prior(find_prior(str(path)), CPU, "float32")


def test_torn_and_old_files(tmp_path: Path) -> None:
    """Files of PyTorch before 1.6, as the published ones may be, are read too."""
    path = tmp_path / "drunet.pth"
    torch.save(weights(*SMALL), path, _use_new_zipfile_serialization=False)
    assert find_prior(str(path)).halo == 48
    for content in (path.read_bytes()[:3000], b"", b"PK\x03\x04 torn"):
        path.write_bytes(content)
        with pytest.raises(RestorekitError, match=r"drunet\.pth: cannot be read as weights"):
            find_prior(str(path))
