"""Does a task do with any photo what every command relies on?"""

from __future__ import annotations

import contextlib

import click
import numpy as np
import torch

from ..engine.noise import Noise
from ..engine.operators import LinearOperator
from ..errors import RestorekitError
from ..given import resolve
from ..guard import reason
from ..metrics import psnr
from ..restorer import check_guess, framed
from ..soundness.rows import LOST_DB
from ..task import MODES, PRESETS, Finding, Picture, Problem, Task
from ..units import eight_bit, to_engine
from .operators import adjoint_gap
from .runs import TINY, Given, NeedsOptions, Options, Runs, errors_of, photo

ODD, TRIED = (35, 46), (64, 96)  # (H, W)
ADJOINT = 1e-3  # what rounding may do in float32


def check_task(
    task: Task, options: Options | None = None, *, prior: str | None = None, device: str = "cpu"
) -> None:
    """Asserts what commands, folders, chains and Python rely on.

    - It has a summary of one line, a recipe for each mode, and a help text for every option.
    - In both modes, a photo of odd size is restored, and to the same pixels whatever the global
      random generators are at and whatever was restored in between. Pixels stay as they were.
    - Grey, 16 bit, float and transparent photos and tiny ones are restored in their own type, with
      their alpha, or refused by a RestorekitError.
    - What `observe` gives fits together, A^T is A's adjoint; what `find` gives can be done.
    - Its trial, if it has one, degrades the same photo in the same way, and fidelity is not worse
      than what it started from.

    Args:
        task: whose plugin is installed, if its recipes name a method or sampler of its own.
        options: what it needs, or a function of (height, width) that says so, as for a mask. By
            default those that its trial restores with, or else the defaults of its command.
        prior: a name or file; by default the task's own.

    Raises:
        NeedsOptions: an AssertionError: without `options` it refuses a photo by a RestorekitError.
    """
    _described(task)
    with contextlib.ExitStack() as files:
        _checked(task, Runs(task, options, prior, device, files))


def _checked(task: Task, runs: Runs) -> None:
    name = task.name
    if not task.takes_photo:
        for mode in MODES:
            once, again = (runs(mode, Given(None)) for _ in range(2))
            assert np.array_equal(once, again), f"task {name}: {mode} mode draws other pixels again"
        return
    try:
        colour = runs.given(ODD)
        _observed(task, colour)
    except RestorekitError as error:
        if runs.options is None:
            raise NeedsOptions(
                f"task {name} refuses a photo by default ({reason(error)}); "
                "give check_task its options"
            ) from error
        raise
    for mode in MODES:
        first = runs(mode, colour, seed=1)
        with contextlib.suppress(RestorekitError):
            runs(mode, runs.given(ODD, grey=True))
        assert np.array_equal(runs(mode, colour, seed=2), first), (
            f"task {name}: {mode} mode gives other pixels for the same photo and seed; "
            "draw from picture.noise alone"
        )
    for size in (ODD, TINY):
        for dtype in (np.uint8, np.uint16, np.float32):
            for how in ("colour", "grey", "alpha"):
                try:
                    given = runs.given(size, how == "grey", how == "alpha", dtype)
                    runs("fidelity", given)
                except RestorekitError:
                    continue  # refused in words
                _findings(task, given)
    if task.trial is not None:
        _tried(task, runs)


def _described(task: Task) -> None:
    name = task.name
    one_line = task.summary.strip() and "\n" not in task.summary
    assert one_line, f"task {name}: its summary must be one line"
    for mode in MODES:
        assert mode in task.recipes, f"task {name}: has no recipe for {mode} mode"
    for option in [*task.options, *(task.trial.options if task.trial else ())]:
        told = isinstance(option, click.Option) and (option.help or option.hidden)
        assert told, f"task {name}: option {option.opts[0]} has no help text"


def _observed(task: Task, given: Given) -> None:
    """What a task makes of a photo fits together, and the photo stays as it was."""
    assert given.pixels is not None
    pixels = to_engine(given.pixels)
    before = pixels.clone()

    def denoised(level: float) -> torch.Tensor:
        return pixels.clone()

    picture = Picture(pixels, None, Noise(0), "a.png", given.source, denoised)
    with errors_of(task, "observe", given.pixels):
        problem = task.observe(picture, **given.options)
    name = task.name
    assert isinstance(problem, Problem), f"task {name}: observe gives a {type(problem).__name__}"
    with errors_of(task, "its guesser", given.pixels):
        guess = _guessed(framed(problem, picture)) if problem.guesser else problem.guess
    assert torch.equal(before, pixels), (
        f"task {name}: observe, or its guesser, changes the picture's pixels"
    )
    size = tuple(problem.size)
    _linear(task, given, problem)
    if guess is not None and problem.finish is None:
        assert guess.ndim == 4 and tuple(guess.shape[2:]) == size, (
            f"task {name}: its guess is {tuple(guess.shape)}, its size {size}"
        )
    if problem.keep is not None:
        fits = problem.keep.dtype == bool and problem.keep.shape == size
        assert fits, f"task {name}: keep must be bool and of shape {size}"
    for note in problem.notes:
        assert note and "\n" not in note, f"task {name}: a note must be one line"
    told = set(task.extras(**given.options))
    assert told == set(problem.extras), (
        f"task {name}: extras() tells of {sorted(told)}, observe gives {sorted(problem.extras)}"
    )
    where = task.marked(picture, **given.options)
    seen = tuple(pixels.shape[2:])
    assert where is None or (where.dtype == bool and where.shape == seen), (
        f"task {name}: marked() must give bool of shape {seen}"
    )
    resolve(task, task.at_strength(given.options, 0.5))
    asked = task.prior_for(given.options)
    assert isinstance(asked, str), f"task {name}: prior_for() gives a {type(asked).__name__}"


def _guessed(problem: Problem) -> torch.Tensor:
    """What a guesser says, twice the same."""
    assert problem.guesser is not None
    one, again = (
        problem.guesser(torch.device("cpu"), torch.float32, lambda _: None) for _ in range(2)
    )
    check_guess(one, problem)
    assert torch.equal(one, again), "gives another guess the second time"
    return one


def _linear(task: Task, given: Given, problem: Problem) -> None:
    """The operator's adjoint is one, where it has any: a convex set has none."""
    operator, y = problem.observation.operator, problem.observation.y
    if type(operator).adjoint is LinearOperator.adjoint:
        return
    with errors_of(task, "its operator", given.pixels):
        gap = adjoint_gap(operator, Noise(0).like(operator.adjoint(y)), Noise(1).like(y))
    assert gap < ADJOINT, (
        f"task {task.name}: the adjoint of its {type(operator).__name__} is none: "
        f"<A x, y> and <x, A^T y> differ by {gap:.2g}"
    )


def _findings(task: Task, given: Given) -> None:
    assert given.pixels is not None
    picture = Picture(to_engine(given.pixels), None, Noise(0), "a.png", given.source)
    for finding in task.find(picture):
        name = task.name
        assert isinstance(finding, Finding), f"task {name}: find gives a {type(finding).__name__}"
        told = finding.what and "\n" not in finding.what
        assert told, f"task {name}: what it finds must be told in one line"
        unknown = set(finding.suits) - set(PRESETS)
        assert not unknown, f"task {name}: finds for {sorted(unknown)}, which are no presets"
        if finding.options is not None:
            try:
                resolve(task, finding.options)
            except RestorekitError as error:
                raise AssertionError(f"task {name}: finds what it cannot mend: {error}") from error


def _tried(task: Task, runs: Runs) -> None:
    """The trial repeats itself, and restoring makes nothing worse."""
    assert task.trial is not None
    name, clean = task.name, photo(TRIED)
    (reference, seen, source, given), (_, again, _, _) = (runs.degraded(clean) for _ in range(2))
    assert np.array_equal(seen, again), (
        f"task {name}: its trial degrades differently each time; draw from the noise it is given"
    )
    baseline = task.trial.baseline(seen, **given)
    assert baseline.shape == reference.shape, (
        f"task {name}: the baseline is {baseline.shape}, the reference {reference.shape}"
    )
    found = runs("fidelity", Given(seen, None, source, resolve(task, given)), full=True)
    assert found.shape == reference.shape, (
        f"task {name}: restores {found.shape}, while the trial's reference is {reference.shape}"
    )
    if seen.shape == reference.shape:
        before, after = (psnr(eight_bit(p), reference, 255) for p in (seen, found))
        assert after > before - LOST_DB, (
            f"task {name}: makes its trial's photo worse, {after:.1f} dB of {before:.1f}"
        )
