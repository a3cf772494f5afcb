"""What more evaluations of the network bring, for each of the shipped priors: a table, a picture.

    python samples/cost_quality.py SET5 CBSD68 --every 6 --picture docs/pictures/cost.png

SET5 is enlarged, its luma scored; of CBSD68, photos get holes, which alone are scored.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from restorekit import images, metrics, plugins
from restorekit.benchmark import benchmark, resolved
from restorekit.choices import Choices
from restorekit.restorer import Restorer

PRIORS = "photo", "photo-fast", "photo-few"
STEPS = 1, 2, 3, 4, 8  # of which `photo` asks twice for each
Trial = tuple[str, str, dict[str, Any], str]  # label, task, options, the score
TRIALS: tuple[Trial, ...] = (
    ("superres x2", "superres", {"scale": 2.0, "sigma": 0.0}, "psnr"),
    ("superres x4", "superres", {"scale": 4.0, "sigma": 0.0}, "psnr"),
    ("text", "inpaint", {"mask_kind": "text"}, "hole_psnr"),
    ("scratches", "inpaint", {"mask_kind": "scratch"}, "hole_psnr"),
    ("50 % random", "inpaint", {"mask_kind": "random"}, "hole_psnr"),
)

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("enlarged", type=Path)
parser.add_argument("torn", type=Path)
parser.add_argument("--every", type=int, default=1, help="only each so many-th photo with holes")
parser.add_argument("--picture", type=Path)


def measured(trial: Trial, prior: str, steps: int, folder: Path) -> tuple[int, float, float] | None:
    """Evaluations, mean score in dB, and seconds a megapixel; None if it was trained for fewer."""
    _, name, given, score = trial
    task = plugins.registry().task(name)
    restorer = Restorer(task, Choices(prior=prior, steps=steps, precision="bfloat16"))
    if (levels := restorer.how.recipe.levels) and steps > len(levels):
        return None
    values = resolved(task, given)
    chosen = {"psnr": metrics.psnr}
    report = benchmark(restorer, folder, values, measures=chosen)
    mean = report["mean"]
    return report["nfe"], mean[score], mean["seconds_per_megapixel"]


def main() -> None:
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    curves: dict[str, dict[str, list[tuple[int, float]]]] = {}
    print("| | prior | evaluations | dB | s / MP |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for path in images.below(arguments.torn)[:: arguments.every]:
            shutil.copy(path, folder)
        for trial in TRIALS:
            label, name, *_ = trial
            photos = arguments.enlarged if name == "superres" else Path(folder)
            for prior in PRIORS:
                for steps in STEPS:
                    found = measured(trial, prior, steps, photos)
                    if found is None:
                        continue
                    nfe, score, seconds = found
                    print(
                        f"| {label} | {prior} | {nfe} | {score:.2f} | {seconds:.1f} |", flush=True
                    )
                    curves.setdefault(label, {}).setdefault(prior, []).append((nfe, score))
    if arguments.picture:
        figure = Figure(figsize=(13, 3), layout="constrained")
        for axes, (label, priors) in zip(
            figure.subplots(1, len(curves)), curves.items(), strict=True
        ):
            for prior, points in priors.items():
                axes.plot(*zip(*points, strict=True), marker="o", markersize=4, label=prior)
            axes.set_xscale("log", base=2)
            axes.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
            axes.set_title(label, fontsize=10)
            axes.grid(alpha=0.2)
        figure.supxlabel("evaluations", fontsize=10)
        figure.axes[0].set_ylabel("PSNR, dB")
        figure.axes[0].legend(frameon=False, fontsize=8)
        figure.savefig(arguments.picture, dpi=110)


if __name__ == "__main__":
    main()
