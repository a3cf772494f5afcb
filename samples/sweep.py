"""Measures recipes: which method, sampler, steps and noise levels a task's defaults should be.

    python samples/sweep.py superres PHOTOS --set scale=4 --steps 4 8 12 --start 0.2 0.4 0.8

Prints a Markdown table, best PSNR first. PHOTOS holds clean photos; tune on other ones than
you report on.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from pathlib import Path

from restorekit import plugins
from restorekit.benchmark import benchmark
from restorekit.restorer import Choices, Restorer
from restorekit.task import Task, resolve

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("task")
parser.add_argument("photos", type=Path)
parser.add_argument("--set", action="append", default=[], help="option of the task, NAME=VALUE")
parser.add_argument("--mode", default="fidelity")
parser.add_argument("--prior", default="photo")
parser.add_argument("--precision", default="float32")
parser.add_argument("--method", nargs="+")
parser.add_argument("--sampler", nargs="+")
parser.add_argument("--grid", nargs="+")
parser.add_argument("--steps", nargs="+", type=int)
parser.add_argument("--start", nargs="+", type=float)
parser.add_argument("--end", nargs="+", type=float)


def main() -> None:
    """Runs every combination and prints the table."""
    arguments = parser.parse_args()
    task = plugins.registry().task(arguments.task)
    everything = Task()
    everything.name = task.name
    everything.options = [*task.options, *(task.trial.options if task.trial else ())]
    options = resolve(everything, dict(pair.split("=", 1) for pair in arguments.set))
    recipe = task.recipes[arguments.mode]
    axes = {
        field.name: getattr(arguments, field.name) or [getattr(recipe, field.name)]
        for field in dataclasses.fields(recipe)
        if hasattr(arguments, field.name)
    }
    rows = []
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        choices = Choices(arguments.mode, prior=arguments.prior, precision=arguments.precision)
        restorer = Restorer(task, choices)
        restorer.method = plugins.registry().find("method", chosen["method"])
        restorer.step = plugins.registry().find("sampler", chosen["sampler"])
        restorer.recipe = dataclasses.replace(recipe, **chosen)
        report = benchmark(restorer, arguments.photos, options)
        rows.append((report["mean"]["psnr"], report["mean"]["ssim"], report["nfe"], chosen))
        print(f"{rows[-1][0]:.3f}", *chosen.values(), flush=True)
    print("\n| PSNR | SSIM | NFE | " + " | ".join(axes) + " |")
    print("|---" * (3 + len(axes)) + "|")
    for psnr, ssim, nfe, chosen in sorted(rows, key=lambda row: -row[0]):
        cells = " | ".join(str(value) for value in chosen.values())
        print(f"| {psnr:.3f} | {ssim:.4f} | {nfe} | {cells} |")


if __name__ == "__main__":
    main()
