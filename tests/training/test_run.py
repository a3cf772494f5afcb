"""A whole run: that it learns, what it writes, and what it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from restorekit import cli, images, priors, soundness
from restorekit.errors import RestorekitError
from restorekit.evaluation import bits
from restorekit.loading import find_prior
from restorekit.training import presets
from restorekit.training.card import as_toml
from restorekit.training.export import export
from restorekit.training.muon import orthogonalised
from restorekit.training.run import Run
from restorekit.training.settings import Settings
from restorekit.training.trainer import train

from ..conftest import SAMPLES
from .tiny import TINY, losses_of


def test_a_minute_of_training_learns_and_gives_a_prior(photos: Path, tmp_path: Path) -> None:
    import restorekit

    longer = Settings.from_dict(TINY.as_dict() | {"steps": 150, "batch": 8, "rate": 3e-3})
    rows: list[dict[str, float]] = []
    written = train(longer, photos, tmp_path, report=rows.append)
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses[-1] < losses[0] - 0.2, "the logarithm of the error"
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert logged == [row for row in rows if set(row) != {"step", "elapsed", "progress"}]
    described = priors.read_metadata(written)
    assert described["steps"] == 150
    assert Settings.from_dict(described["training"]) == longer
    assert (tmp_path / "prior.md").read_text().startswith("# prior")
    clean = images.read(SAMPLES / "photos" / "cat.png").pixels[:64, :64] / 255
    noisy = clean + np.random.default_rng(0).normal(0, 0.2, clean.shape)
    restored = restorekit.restore("denoise", noisy, sigma=0.2, prior=tmp_path)
    assert np.square(restored - clean).mean() < 0.5 * np.square(noisy - clean).mean()


def test_muon_makes_all_singular_values_alike() -> None:
    """The directions stay; the sizes come near 1, for wide and tall matrices of any scale."""
    source = torch.Generator().manual_seed(0)
    for shape in ((3, 8, 20), (2, 20, 8)):
        given = 1e-3 * torch.randn(shape, generator=source)
        s = torch.linalg.svdvals(orthogonalised(given))
        assert s.min() > 0.6 and s.max() < 1.3
        wanted_u, _, wanted_vh = torch.linalg.svd(given, full_matrices=False)
        turned = orthogonalised(given)
        alone = wanted_u.mT @ turned @ wanted_vh.mT
        torch.testing.assert_close(
            alone, torch.diag_embed(alone.diagonal(dim1=1, dim2=2)), atol=1e-4, rtol=0
        )


def test_a_batch_in_parts_is_the_same_batch(photos: Path, tmp_path: Path) -> None:
    whole = train(TINY, photos, tmp_path / "whole", cache=tmp_path / "cache")
    parts = Settings.from_dict(TINY.as_dict() | {"accumulate": 2})
    summed = train(parts, photos, tmp_path / "parts", cache=tmp_path / "cache")
    for (_, one), (_, other) in zip(*(losses_of(p.parent) for p in (whole, summed)), strict=True):
        assert other == pytest.approx(one, rel=1e-3)
    a, b = (priors.load(p).network.state_dict() for p in (whole, summed))
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=2e-3, rtol=1e-2)


def test_training_needs_only_torch_numpy_and_image_codecs(photos: Path, tmp_path: Path) -> None:
    """As on a bare GPU machine: everything else that the package uses is hidden."""
    hidden = ("click", "pluggy", "skimage", "kornia", "pywt", "tensorboard")
    code = f"""
import sys
for name in {hidden!r}:
    sys.modules[name] = None
from pathlib import Path
from restorekit.training.presets import read
from restorekit.training.trainer import train
train(read("photo-b", Path({str(tmp_path / "run.toml")!r}), {{}}),
      Path({str(photos)!r}), Path({str(tmp_path / "run")!r}))
"""
    (tmp_path / "run.toml").write_text(as_toml(TINY))
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "run" / "prior.safetensors").exists()


def test_a_run_describes_itself(photos: Path, tmp_path: Path) -> None:
    """Export before the end, the card, the attribution, and the pictures of a validation."""
    (photos / "ATTRIBUTION.tsv").write_text("file\tlicence\tauthor\tsource\na.png\tCC0\tme\there\n")
    train(TINY, photos, tmp_path / "run", name="mine")
    (photos / "ATTRIBUTION.tsv").unlink()
    run = Run(tmp_path / "run")
    card = run.card.read_text()
    assert "1 CC0" in card and (run.folder / "prior-attribution.tsv").exists()
    assert "psnr 25" in card and "bits per dimension" in card
    described = priors.read_metadata(run.weights)
    assert set(described["soundness"]) == set(soundness.FIGURES)
    assert set(described["scores"]).isdisjoint(soundness.FIGURES)
    assert f"| unsound rows | {described['soundness']['unsound_rows']} |" in card
    settings = card[card.index("```toml") + 7 : card.rindex("```")]
    (tmp_path / "again.toml").write_text(settings)
    assert presets.read("photo-s", tmp_path / "again.toml", {}) == TINY
    for picture in run.pictures.iterdir():
        assert images.read(picture).pixels.std() > 1
    run.weights.unlink()
    run.card.unlink()
    assert cli.main(["train", "-o", str(run.folder), "--export"]) == 0
    assert priors.read_metadata(run.weights)["name"] == "mine"
    assert run.card.read_text() == card
    assert cli.main(["train", "-o", str(run.folder), "--export", "--name", "yours"]) == 0
    assert run.card.read_text().startswith("# yours")
    with pytest.raises(RestorekitError, match="train first"):
        export(Run(tmp_path / "none"))


def test_bits_per_dimension_of_a_folder(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command gives few for pictures, the same every time, at the size of the training."""
    noise = tmp_path / "noise"
    noise.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        random = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        images.write(noise / f"{i}.png", images.Photo(random))

    def measured(prior: str, folder: Path, *more: str) -> tuple[float, str]:
        command = ["priors", "bits", prior, str(folder), "--terms", "12", *more]
        assert cli.main(command) == 0
        found, _, told = capsys.readouterr().out.partition(" ")
        return float(found), told

    few, told = measured("photo", SAMPLES / "photos", "--limit", "2")
    assert 1 < few < 6 and "2 pictures" in told
    assert measured("photo", SAMPLES / "photos", "--limit", "2") == (few, told)
    short = train(TINY, photos, tmp_path / "run")
    assert "3 pictures of 32 x 32" in measured(str(short), noise)[1]
    with pytest.raises(RestorekitError, match="holds no picture of at least"):
        bits(find_prior("photo"), noise, terms=12)


def test_what_a_gpu_is_to_do_runs_here(tmp_path: Path) -> None:
    """The script that spends a lent GPU's minutes, dry: paused at once, and then gone on with."""
    photos = str(SAMPLES / "photos")
    script = [sys.executable, str(SAMPLES / "gpu_train.py"), photos, photos, str(tmp_path)]
    dry = [*script, "--dry-run", "--device", "cpu", "--only", "photo-few", "enlargement"]
    for minutes in ("0.02", "9"):
        subprocess.run([*dry, "--this-time", minutes], check=True, capture_output=True)
    assert priors.read_metadata(tmp_path / "photo-few" / "prior.safetensors")["steps"] == 20
    assert "20 steps" in (tmp_path / "enlargement" / "enlargement.md").read_text()
