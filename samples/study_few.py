"""What a prior has to learn to restore in four evaluations: ways of training, equally long.

    python samples/study_few.py PHOTOS RUNS SET5 CBSD68 --minutes 6 --every 6

Each begins with `photo-fast`. Prints a Markdown table: the luma of SET5 enlarged, and the holes of
CBSD68, in four evaluations by hqs, and what `photo-fast` gives so and with its own sixteen. Ways
that RUNS holds already are not trained again.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from cost_quality import TRIALS

from restorekit import images, metrics, plugins
from restorekit.benchmark import benchmark, resolved
from restorekit.choices import Choices
from restorekit.priors import shipped
from restorekit.restorer import Restorer
from restorekit.task import Recipe
from restorekit.training.presets import PRESETS
from restorekit.training.settings import Settings
from restorekit.training.trainer import train

FAULTS = {"less": 0.16, "faded": 0.06, "rate": 1.2e-3, "warmup": 20, "crop": 96, "ema": 0.99}
WAYS: dict[str, dict[str, Any]] = {
    "plain noise": {"objective": "even_v"},
    "unfolded": {"unfold": 0.75, "objective": "even_v"},
    "mapped": {"holes": 0.6, "objective": "even_v"},
    "mapped and unfolded": {"holes": 0.42, "unfold": 0.75, "objective": "even_v"},
}

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("photos", type=Path)
parser.add_argument("runs", type=Path)
parser.add_argument("enlarged", type=Path)
parser.add_argument("torn", type=Path)
parser.add_argument("--minutes", type=float, default=6.0)
parser.add_argument("--every", type=int, default=1, help="only each so many-th photo with holes")
parser.add_argument("--cache", type=Path, help="where the photos are kept decoded")


def trained(way: str, arguments: argparse.Namespace) -> tuple[Path, Settings]:
    changes = FAULTS | WAYS[way]
    preset = PRESETS["photo-s"]
    network = dataclasses.replace(preset.network, mapped="holes" in changes)
    settings = dataclasses.replace(preset, network=network, **changes)
    run = arguments.runs / way.replace(" ", "-")
    if not (run / "prior.safetensors").exists():
        init = shipped()["photo-fast"]
        cache = arguments.cache or arguments.runs / "cache"
        train(settings, arguments.photos, run, init=init, cache=cache, minutes=arguments.minutes)
    return run / "prior.safetensors", settings


def scores(prior: str, few: Settings | None, folders: dict[str, Path]) -> Iterator[float]:
    """Mean dB of each trial; in four evaluations, for a prior that was trained so."""
    for _, name, given, score in TRIALS:
        task = plugins.registry().task(name)
        if few is not None:
            method = "mapped" if few.network.mapped and name == "inpaint" else "diffpir"
            levels = few.unfold_levels
            recipe = Recipe(method, "hqs", len(levels), levels=levels)
            task = copy.copy(task)
            task.recipes = {"fidelity": recipe}
        restorer = Restorer(task, Choices(prior=prior, precision="bfloat16"))
        chosen = {"psnr": metrics.psnr}
        report = benchmark(restorer, folders[name], resolved(task, given), measures=chosen)
        yield report["mean"][score]


def main() -> None:
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    heads = ["trained further on", *(label for label, *_ in TRIALS)]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
    with tempfile.TemporaryDirectory() as few:
        for path in images.below(arguments.torn)[:: arguments.every]:
            shutil.copy(path, few)
        folders = {"superres": arguments.enlarged, "inpaint": Path(few)}

        def row(name: str, prior: str, settings: Settings | None) -> None:
            found = " | ".join(f"{score:.2f}" for score in scores(prior, settings, folders))
            print(f"| {name} | {found} |", flush=True)

        row("nothing, sixteen evaluations", "photo-fast", None)
        row("nothing", "photo-fast", PRESETS["photo-s"])
        for way in WAYS:
            weights, settings = trained(way, arguments)
            row(way, str(weights), settings)


if __name__ == "__main__":
    main()
