"""`evaluate` and `benchmark`: scores of files, and of tasks on clean photos."""

from __future__ import annotations

import csv
import io
import json
import types
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from restorekit import images, metrics
from restorekit.engine.declared import marked
from restorekit.hookspecs import hookimpl
from restorekit.testing import installed
from restorekit.units import eight_bit

from .commands import run, save

CAT = data.chelsea()
pytestmark = pytest.mark.usefixtures("here")


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()))


def luma(rgb: np.ndarray) -> np.ndarray:
    """BT.601, from its coefficients."""
    return np.asarray(16 + rgb @ [65.481, 128.553, 24.966] / 255)


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Two photos and what noise made of them; worse at the edge, and of another format."""
    clean = CAT[60:92, 100:140]
    noise = np.random.default_rng(0).normal(0, 12, clean.shape)
    noise[:3] *= 4
    noisy = (clean + noise).clip(0, 255).round().astype(np.uint8)
    for name in ("one", "two"):
        save(f"clean/sub/{name}.bmp", clean)
    save("noisy/sub/one.png", noisy)
    save("noisy/sub/two.png", clean[::-1])
    return noisy, clean


@pytest.mark.parametrize("options", ["", "--luma", "--crop-border 3", "--luma --crop-border 3"])
def test_evaluate(
    pair: tuple[np.ndarray, np.ndarray], capfd: pytest.CaptureFixture[str], options: str
) -> None:
    assert run(f"evaluate noisy clean --json {options}") == 0
    report = json.loads(capfd.readouterr().out)
    one, two = report["images"]
    assert (one["name"], two["name"]) == ("sub/one", "sub/two")
    a, b = (p[3:-3, 3:-3] if "crop" in options else p for p in pair)
    expected = psnr(luma(a), luma(b)) if "luma" in options else psnr(a, b)
    assert one["psnr"] == pytest.approx(expected, abs=1e-6)
    assert two["ssim"] < one["ssim"] < 1
    for score in ("psnr", "ssim"):
        assert report["mean"][score] == pytest.approx((one[score] + two[score]) / 2)


def test_evaluate_as_table_and_csv(
    pair: tuple[np.ndarray, np.ndarray], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate noisy clean --csv") == 0
    rows = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    assert [row["name"] for row in rows] == ["sub/one", "sub/two", "mean"]
    assert float(rows[0]["psnr"]) == pytest.approx(psnr(*pair), abs=1e-6)
    assert run("evaluate noisy/sub/one.png clean/sub/one.bmp") == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].split() == ["psnr", "ssim"]
    assert lines[1].split()[:2] == ["one.png", f"{psnr(*pair):.4f}"]
    assert lines[-1].split()[0] == "mean"


def test_evaluate_tells_of_references_without_a_restored_photo(
    pair: tuple[np.ndarray, np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    Path("noisy/sub/two.png").unlink()
    assert run("evaluate noisy clean") == 0
    assert "two.bmp" in caplog.text


def test_evaluate_pairs_of_one_folder(
    pair: tuple[np.ndarray, np.ndarray], capfd: pytest.CaptureFixture[str]
) -> None:
    """By what their names share, below subfolders too; a slash makes patterns paths."""
    noisy, clean = pair
    for name in ("a_real.png", "b/c_real.png"):
        save(f"all/{name}", noisy)
        save(f"all/{name.replace('real', 'mean')}", clean)
    save("all/other.png", clean)
    assert run("evaluate all --pairs '*_real.png' '*_mean.png' --json") == 0
    report = json.loads(capfd.readouterr().out)
    assert [row["name"] for row in report["images"]] == ["a", "b/c"]
    assert report["mean"]["psnr"] == pytest.approx(psnr(noisy, clean), abs=1e-6)
    assert run("evaluate . --pairs 'noisy/sub/*.png' 'clean/sub/*.bmp' --csv") == 0
    assert capfd.readouterr().out.splitlines()[1].startswith("one,")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("noisy --pairs '*.png' '*_mean.png'", 1, "holds no photo that '*_mean.png' names"),
        ("noisy --pairs 'o*.png' 't*.png'", 1, "one.png: has no counterpart in t*.png"),
        ("noisy --pairs one.png '*.png'", 1, "'one.png': give one star"),
        ("noisy/sub/one.png --pairs '*.png' '*.bmp'", 1, "not a folder"),
        ("noisy clean --pairs '*.png' '*.bmp'", 2, "either"),
        ("noisy", 2, "either"),
    ],
)
def test_evaluate_refuses_what_makes_no_pairs(
    pair: tuple[np.ndarray, np.ndarray],
    capfd: pytest.CaptureFixture[str],
    arguments: str,
    code: int,
    words: str,
) -> None:
    assert run(f"evaluate {arguments}") == code
    assert words in capfd.readouterr().err


def test_equals_are_null_in_json(capfd: pytest.CaptureFixture[str]) -> None:
    """Their PSNR is infinite, which JSON cannot say."""
    save("a.png", CAT[:16, :16])
    assert run("evaluate a.png a.png --json") == 0
    report = json.loads(capfd.readouterr().out, parse_constant=pytest.fail)
    assert report["mean"] == {"psnr": None, "ssim": 1}


REPORT = {"task", "options", "prior", "nfe", "images", "mean"}
ROW = {"name", "psnr", "ssim", "baseline_psnr", "baseline_ssim", "seconds", "megapixels"}
MEAN = {"psnr", "ssim", "baseline_psnr", "baseline_ssim", "seconds_per_megapixel"}
HOLE = {"hole_psnr", "baseline_hole_psnr"}


@pytest.mark.parametrize(
    ("command", "prior", "nfe", "extra"),
    [
        ("denoise clean --sigma 25", "photo", 1, set()),
        ("superres clean --scale 2 --steps 2", "photo-few", 3, set()),
        ("inpaint clean --mask-kind random --coverage 0.3 --steps 2", "photo-few", 2, HOLE),
        ("inpaint clean --mask-kind scratch --steps 2", "photo-few", 2, HOLE),
    ],
)
def test_benchmark(
    capfd: pytest.CaptureFixture[str], command: str, prior: str, nfe: int, extra: set[str]
) -> None:
    clean = CAT[60:108, 100:164]
    save("clean/a.png", clean)
    save("clean/b.png", clean[::-1, 10:])
    assert run(f"benchmark {command} --json report.json --save saved") == 0
    text = Path("report.json").read_text()
    report = json.loads(text)
    assert set(report) >= REPORT
    assert report["task"] == command.split()[0] and report["prior"] == prior
    assert report["nfe"] == nfe
    assert [row["name"] for row in report["images"]] == ["a.png", "b.png"]
    for row in report["images"]:
        assert set(row) >= ROW | extra and (extra or not set(row) & HOLE)
        assert row["seconds"] > 0
    assert set(report["mean"]) >= MEAN | extra
    first, second = report["images"]
    for score in (MEAN | extra) - {"seconds_per_megapixel"}:
        assert report["mean"][score] == pytest.approx((first[score] + second[score]) / 2)
    out = capfd.readouterr().out
    assert {"a.png", "b.png", "mean", "s/MP", "NFE"} <= set(out.replace("(NFE)", "NFE").split())

    # The scores are those of the pictures it saved.
    saved = {kind: images.read(f"saved/{kind}/a.png").pixels for kind in ("restored", "baseline")}
    for kind, score in (("restored", "psnr"), ("baseline", "baseline_psnr")):
        if "superres" in command:  # on luma, without a border as wide as the scale
            a, b = (luma(p[2:-2, 2:-2]) for p in (saved[kind], clean))
        else:
            a, b = saved[kind], clean
        assert first[score] == pytest.approx(psnr(a, b), abs=1e-6)
    if extra:
        hole = (images.read("saved/degraded/a.png").pixels != clean).any(axis=2)
        assert first["hole_psnr"] == pytest.approx(psnr(saved["restored"][hole], clean[hole]), 0.02)
        assert np.array_equal(saved["restored"][~hole], clean[~hole])


@pytest.mark.parametrize(
    ("command", "score", "gain"),
    [
        ("superres clean --scale 2", "psnr", 1.0),
        ("inpaint clean --mask-kind random --coverage 0.5", "hole_psnr", 2.0),
    ],
)
def test_restoring_beats_what_it_starts_from(command: str, score: str, gain: float) -> None:
    """Bicubic interpolation and Telea's filling are both the first guess and the baseline."""
    save("clean/cat.png", CAT[60:124, 100:164])
    assert run(f"benchmark {command} --json r.json --quiet") == 0
    mean = json.loads(Path("r.json").read_text())["mean"]
    assert mean[score] > mean[f"baseline_{score}"] + gain


def test_a_grey_photo_gets_grey_noise() -> None:
    """One noise, as the literature has it: three over one picture would average out."""
    save("clean/grey.png", CAT[60:108, 100:164, 1])
    assert run("benchmark denoise clean --sigma 25 --json r.json --save s --quiet") == 0
    seen = {kind: images.read(f"s/{kind}/grey.png") for kind in ("degraded", "restored")}
    assert all(photo.is_grey for photo in seen.values())
    (row,) = json.loads(Path("r.json").read_text())["images"]
    assert row["baseline_psnr"] < row["psnr"]


def test_integers_of_any_depth_are_scored_alike() -> None:
    deep = CAT[:8, :8].astype(np.uint16) * 257
    assert np.array_equal(eight_bit(deep), CAT[:8, :8])
    assert eight_bit(np.array([-0.2, 0.4, 1.7])).tolist() == [0, 102, 255]


def test_benchmark_baseline_of_denoising_is_non_local_means() -> None:
    """Unclipped noise of the level asked for, and OpenCV's filter at its best for it."""
    grey = np.full((40, 48, 3), 128, np.uint8)
    save("clean/grey.png", grey)
    assert run("benchmark denoise clean --sigma 20 --json r.json --save s --quiet") == 0
    noisy = images.read("s/degraded/grey.png").pixels
    assert noisy.astype(float).std() == pytest.approx(20, rel=0.05)
    expected = cv2.fastNlMeansDenoisingColored(noisy, None, 13, 13, 7, 21)  # 0.65 x 20: its best
    assert np.array_equal(images.read("s/baseline/grey.png").pixels, expected)


def mean_absolute_error(restored: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    return float(np.abs(restored - reference).mean() / data_range)


@marked(metrics.Traits(higher_is_better=False, needs_reference=False))
def roughness(restored: np.ndarray, data_range: float) -> float:
    return float(np.abs(np.diff(restored, axis=0)).mean() / data_range)


@marked(metrics.Traits(on_request=True))
def slow(restored: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    return 1.0


def failing(restored: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    raise ZeroDivisionError("no contrast")


@pytest.fixture
def measuring() -> Iterator[None]:
    """Metrics of a plugin, of every kind."""
    plugin = types.ModuleType("measuring")

    @hookimpl
    def restorekit_metrics() -> dict[str, metrics.Metric]:
        lower = marked(metrics.Traits(higher_is_better=False))(mean_absolute_error)
        offered = {"mean_absolute_error": lower, "roughness": roughness, "slow": slow}
        return {**offered, "failing": failing}

    vars(plugin)["restorekit_metrics"] = restorekit_metrics
    with installed(plugin):
        yield


@pytest.mark.usefixtures("measuring")
def test_metrics_of_a_plugin_have_their_columns(
    pair: tuple[np.ndarray, np.ndarray],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Names of any length stay apart; one that fails is told of, and costs the others nothing."""
    assert run("evaluate noisy clean") == 3
    head, one, *_ = capfd.readouterr().out.splitlines()
    names = ["psnr", "ssim", "mean_absolute_error", "roughness", "failing"]
    assert head.split() == names
    numbers = dict(zip(names, one.split()[1:], strict=True))
    assert numbers["psnr"] == f"{psnr(*pair):.4f}" and numbers["failing"] == "-"
    assert "metric failing: no number, ZeroDivisionError: no contrast" in caplog.text
    assert len(caplog.records) == 1  # of two pictures


@pytest.mark.usefixtures("measuring")
@pytest.mark.parametrize(
    ("arguments", "columns"),
    [
        ("noisy clean --metrics ssim", {"ssim"}),
        ("noisy clean --metrics slow,psnr", {"slow", "psnr"}),
        ("noisy --metrics roughness", {"roughness"}),
        ("noisy/sub/one.png --metrics roughness", {"roughness"}),
    ],
)
def test_evaluate_computes_what_is_asked_for(
    pair: tuple[np.ndarray, np.ndarray],
    capfd: pytest.CaptureFixture[str],
    arguments: str,
    columns: set[str],
) -> None:
    assert run(f"evaluate {arguments} --json") == 0
    report = json.loads(capfd.readouterr().out)
    assert set(report["mean"]) == columns
    assert all(set(row) == columns | {"name"} for row in report["images"])


@pytest.mark.usefixtures("measuring")
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("evaluate noisy clean --metrics lpips", "'lpips' is unknown; use blur, failing"),
        ("evaluate noisy --metrics roughness,psnr", "'psnr' needs references"),
        ("benchmark denoise clean --sigma 5 --metrics ssin --prior missing.pt", "'ssin' is"),
    ],
)
def test_metrics_that_cannot_be_had(
    pair: tuple[np.ndarray, np.ndarray],
    capfd: pytest.CaptureFixture[str],
    command: str,
    words: str,
) -> None:
    """Are refused before anything is read or restored."""
    assert run(command) == 1
    assert words in capfd.readouterr().err


@pytest.mark.usefixtures("measuring")
def test_the_better_of_two_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    """In a metric's own direction."""
    save("in/a.png", CAT[:32, :40])
    command = "benchmark denoise in --sigma 20 --metrics psnr,mean_absolute_error,roughness"
    assert run(f"{command} --json report.json") == 0
    head, one, *_ = capsys.readouterr().out.splitlines()
    mean = json.loads(Path("report.json").read_text())["mean"]
    cells = dict(zip(head.split(), one.split()[1:], strict=True))
    for name, sign in (("psnr", 1), ("mean_absolute_error", -1), ("roughness", -1)):
        ours, theirs = mean[name], mean[f"baseline_{name}"]
        assert cells[name].endswith("*") == (sign * ours > sign * theirs)
        assert cells[f"baseline_{name}"].endswith("*") == (sign * theirs > sign * ours)
