"""What jobs do: the command line's own five lines, with a page looking on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import files, folder, images
from ..chain import Chain
from ..diagnosis import Restoration
from ..errors import RestorekitError
from ..folder.plan import Job as Planned
from ..preview import Part, Preview
from ..shot import Shot
from .asked import Asked, Written
from .queue import Job, Stopped

MOST = 1024  # pixels of a preview's sides


@dataclass(frozen=True)
class Made:
    """A picture that was made, in a file that the page may look at and keep.

    Attributes:
        path: of the file, written as the command line writes it.
        role: what it is: "", "1", "2", "mean", "deviation", or the name of an extra.
        extra: it is what a task shows besides.
    """

    path: Path
    role: str
    extra: bool = False


def chain_for(asked: Asked, photo: images.Photo, name: str) -> Chain | None:
    """What is done to one photo; None for nothing."""
    if isinstance(asked.spec, Restoration):
        return asked.spec.chain(Shot.of(photo, name))
    return asked.spec


def previewed(
    asked: Asked, photo: images.Photo, name: str, side: int, at: tuple[int, int], job: Job
) -> Part | None:
    """A restored part of a photo around (x, y); None where nothing is to be done to it."""
    chain = chain_for(asked, photo, name)
    if chain is None:
        return None
    opened = Preview(chain.on(asked.device), min(side, MOST), at).opened()
    return opened.part(Shot.of(photo, name), job.progress)


def found(asked: Asked, photo: images.Photo, name: str) -> np.ndarray:
    """(H, W) uint8: 255 where the tasks find something to mend.

    Raises:
        RestorekitError: where none of them does.
    """
    chain = chain_for(asked, photo, name)
    where = None
    if chain is not None:
        opened = Preview(chain.on(asked.device), 1).opened()
        where = opened.marked(Shot.of(photo, name))
    if where is None or not where.any():
        raise RestorekitError("nothing was found here; paint what is to be repaired")
    return np.asarray(where.astype(np.uint8) * 255)


def restored(
    asked: Asked, written: Written, source: Path, aside: Path, job: Job
) -> tuple[list[Made], list[str]]:
    """Restores one photo into files of a folder of its own; what to tell of it."""
    selection = folder.Selection(suffix=written.suffix)
    target = selection.in_folder(aside / source.name)
    spec = asked.spec.on(asked.device)
    (plan,) = folder.plan([source], target, asked.samples, selection, spec.extras).jobs
    restoring = spec.opened()
    with files.guarded([*folder.read_by(spec, [plan]), *restoring.priors]):
        shop = folder.Workshop(restoring, written.files, through_samples(job, asked.samples))
        opened = folder.Runner(shop).open(plan)
        assert not isinstance(opened, folder.Outcome)  # the folder is new
        outcome = shop.write(shop.restore(plan, shop.read(opened)))
    return list(made(plan)), list(outcome.notes)


def through_samples(job: Job, samples: int) -> Callable[[float, int], bool]:
    """The progress of several samples, one after the other."""
    past = [0, 0.0]  # samples that are done, and how far the present one is

    def progress(done: float, total: int) -> bool:
        if done < past[1]:
            past[0] += 1
        past[1] = done
        return job.progress(min(past[0], samples - 1) * total + done, samples * total)

    return progress


def made(plan: Planned) -> Iterator[Made]:
    """What a job has written, and what each of it is."""
    samples = [*map(str, range(1, plan.samples + 1)), "mean", "deviation"]
    roles = samples if plan.samples > 1 else [""]
    for number, path in enumerate(plan.targets):
        extra = number >= len(roles)
        yield Made(path, plan.extras[number - len(roles)] if extra else roles[number], extra)


def kept(one: Made, name: str, output: Path) -> Path:
    """Where a picture that was made of a photo goes: below the output folder, under its name."""
    target = (output / name).with_suffix(one.path.suffix)
    plain = not one.extra and (one.role.isdecimal() or not one.role)
    return target if plain else target.with_stem(one.path.stem)


def restored_folder(
    asked: Asked, written: Written, inputs: Path, output: Path, job: Job
) -> dict[str, Any]:
    """Restores all photos of a folder, as the command line does; what became of them."""
    spec = asked.spec.on(asked.device)
    selection = folder.Selection(suffix=written.suffix)
    plan = folder.plan([inputs], output, asked.samples, selection, spec.extras)
    restoring = spec.opened()
    told: dict[str, Any] = {"restored": 0, "skipped": 0, "failures": list(plan.problems)}

    def progress(done: float, total: int) -> None:
        past = told["restored"] + told["skipped"] + len(told["failures"])
        if not job.progress(past + done / max(total, 1), len(plan.jobs)):
            raise Stopped

    with contextlib.ExitStack() as stack:
        read = [*folder.read_by(spec, plan.jobs), *restoring.priors]
        stack.enter_context(files.guarded(read))
        manifest = folder.Manifest(output, spec.name)
        stack.enter_context(manifest.opened())
        shop = folder.Workshop(restoring, written.files)
        shop.progress = progress
        runner = folder.Runner(shop, on_exists="skip", manifest=manifest, taken=plan.targets)
        outcomes = runner.run(plan.jobs, folder.local.run)
        for outcome in stack.enter_context(contextlib.closing(outcomes)):
            if outcome.failure:
                told["failures"].append(outcome.failure)
            else:
                told["skipped" if outcome.skipped else "restored"] += 1
            progress(0, 1)
    return {**told, "notes": plan.left_out}
