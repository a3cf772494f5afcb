"""Measures what a task's defaults should be: method, sampler, evaluations and noise levels.

    python samples/sweep.py superres PHOTOS --set scale=4 --nfe 4 8 12 --start 0.2 0.4 0.8

Prints a Markdown table: PSNR for each method and sampler against the network evaluations (NFE),
at the best of the first noise levels, which stands in brackets. PHOTOS holds clean photos; tune
on other ones than you report on.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import itertools
from pathlib import Path
from typing import Any

from restorekit import plugins
from restorekit.benchmark import benchmark, resolved
from restorekit.choices import Choices
from restorekit.engine.declared import of_step
from restorekit.restorer import Restorer
from restorekit.task import Task

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("task")
parser.add_argument("photos", type=Path)
parser.add_argument("--set", action="append", default=[], help="option of the task, NAME=VALUE")
parser.add_argument("--weigh", help="an option of the task and values to try, NAME=VALUE,VALUE")
parser.add_argument("--mode", default="fidelity")
parser.add_argument("--prior")
parser.add_argument("--precision", default="float32")
parser.add_argument("--score", default="psnr", help="for instance hole_psnr")
parser.add_argument("--nfe", nargs="+", type=int, default=[4, 8, 12, 16, 24])
parser.add_argument("--method", nargs="+")
parser.add_argument("--sampler", nargs="+")
parser.add_argument("--grid", nargs="+")
parser.add_argument("--start", nargs="+", type=float)
parser.add_argument("--end", nargs="+", type=float)


def score(
    task: Task, arguments: argparse.Namespace, options: dict[str, Any], **recipe: Any
) -> float:
    """The mean score with a changed recipe; None in it leaves the task's own."""
    # What an unfolded prior would be asked otherwise is not what is compared.
    recipe = {name: value for name, value in recipe.items() if value is not None} | {"unfolded": {}}
    mode, task = arguments.mode, copy.copy(task)
    task.recipes = {**task.recipes, mode: dataclasses.replace(task.recipes[mode], **recipe)}
    restorer = Restorer(task, Choices(mode, prior=arguments.prior, precision=arguments.precision))
    report = benchmark(restorer, arguments.photos, options)
    return float(report["mean"][arguments.score])


def main() -> None:
    """Runs every combination and prints the table."""
    arguments = parser.parse_args()
    task = plugins.registry().task(arguments.task)
    given = dict(pair.split("=", 1) for pair in arguments.set)
    recipe = task.recipes[arguments.mode]

    def axis(name: str) -> list[Any]:
        return getattr(arguments, name) or [getattr(recipe, name)]

    weigh, _, values = (arguments.weigh or "").partition("=")
    weights = values.split(",") if weigh else [""]
    levels = list(itertools.product(axis("start"), axis("end")))
    print(
        "| method | sampler | grid | "
        + (f"{weigh} | " if weigh else "")
        + " | ".join(f"{nfe} NFE" for nfe in arguments.nfe)
        + " |"
    )
    print("|---" * (3 + bool(weigh) + len(arguments.nfe)) + "|", flush=True)
    for method, sampler, grid, weight in itertools.product(
        axis("method"), axis("sampler"), axis("grid"), weights
    ):
        options = resolved(task, given | ({weigh: weight} if weigh else {}))
        cells = [method, sampler, grid, *([weight] if weigh else [])]
        for nfe in arguments.nfe:
            steps = nfe // of_step(plugins.registry().find("sampler", sampler)).evaluations
            shared = {"method": method, "sampler": sampler, "grid": grid, "steps": steps}
            best, (start, end) = max(
                (score(task, arguments, options, **shared, start=start, end=end), (start, end))
                for start, end in levels
            )
            between = "" if start is None else f" ({start:g} to {end:g})"
            cells.append(f"{best:.2f}{between}")
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
