"""Does a task do with any photo what every command relies on?"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click
import numpy as np
import torch

from ..benchmark import as_read
from ..choices import Choices
from ..engine.noise import Noise
from ..engine.operators import LinearOperator
from ..errors import RestorekitError
from ..guard import reason
from ..images import Source
from ..metrics import psnr
from ..restorer import Restorer
from ..shot import Shot
from ..soundness.rows import LOST_DB
from ..task import MODES, PRESETS, Finding, Picture, Problem, Task, resolve
from ..units import converted, eight_bit, to_engine
from .operators import adjoint_gap

Options = Mapping[str, Any] | Callable[[int, int], Mapping[str, Any]]

ODD, TINY, TRIED = (35, 46), (3, 2), (64, 96)  # (H, W)
ADJOINT = 1e-3  # what rounding may do in float32
FEW = 2  # steps, where it does not matter how good a picture is


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


class NeedsOptions(AssertionError):  # noqa: N818 - of the check, not of the task
    """A task cannot be checked without options that nobody gave."""


class Given:
    """What a task is given: pixels, alpha, the file they are from, and options."""

    def __init__(
        self,
        pixels: np.ndarray | None,
        alpha: np.ndarray | None = None,
        source: Source | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.pixels, self.alpha, self.source = pixels, alpha, source
        self.options = options or {}


class Runs:
    """Restores, and looks at what comes out."""

    def __init__(
        self,
        task: Task,
        options: Options | None,
        prior: str | None,
        device: str,
        files: contextlib.ExitStack,
    ) -> None:
        self.task, self.options, self.prior, self.device = task, options, prior, device
        self.files = files

    def degraded(
        self, clean: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, Source | None, dict[str, Any]]:
        """What the trial makes of a photo by default: reference, pixels, file, options."""
        task, trial = self.task, self.task.trial
        assert trial is not None
        own: list[click.Parameter] = [*task.options, *trial.options]
        command = click.Command(task.name, params=own, add_help_option=False)
        options = command.make_context(task.name, [], resilient_parsing=True).params
        if self.options is not None:
            options |= resolve(task, self.said(clean.shape[0], clean.shape[1]))
        before = clean.copy()
        reference, given_to, given = trial.degrade(clean, Noise(0, "check"), **options)
        assert np.array_equal(before, clean), f"task {task.name}: the trial changes the clean photo"
        pixels, source = self.files.enter_context(as_read(given_to))
        return reference, pixels, source, given

    def said(self, height: int, width: int) -> Mapping[str, Any]:
        """The options for a photo of that size, as the check was given them."""
        assert self.options is not None
        return self.options(height, width) if callable(self.options) else self.options

    def given(
        self,
        size: tuple[int, int],
        grey: bool = False,
        transparent: bool = False,
        dtype: type = np.uint8,
    ) -> Given:
        """A photo as the task's trial degrades it, or a clean one."""
        clean = photo(size)[..., : 1 if grey else 3]
        pixels, source = clean, None
        said: Mapping[str, Any] = {}
        tiny = size == TINY and self.options is not None  # which a trial need not know to degrade
        if self.task.trial is not None and not tiny:
            pixels, source, said = self.degraded(clean)[1:]
        elif self.options is not None:
            said = self.said(*size)
        if source is None:
            pixels = converted(pixels.clip(0, 1) if pixels.dtype.kind == "f" else pixels, dtype)
        alpha = None
        if transparent:
            alpha = np.full(pixels.shape[:2], 1.0)
            alpha[: size[0] // 2] = 0.25
            alpha = converted(alpha, pixels.dtype)
        return Given(pixels, alpha, source, resolve(self.task, said))

    def __call__(self, mode: str, given: Given, *, seed: int = 0, full: bool = False) -> np.ndarray:
        """The restored pixels, (H, W, C)."""
        name = self.task.name
        steps = None if full else min(FEW, self.task.recipes[mode].steps)
        choices = Choices(mode, steps=steps, prior=self.prior, device=self.device)
        options = given.options or resolve(self.task, {})
        before = None if given.pixels is None else given.pixels.copy()
        with global_seed(seed), errors_of(self.task, f"{mode} mode", given.pixels):
            shot = Shot.nothing()
            if given.pixels is not None:
                shot = Shot(given.pixels, given.alpha, "a.png", given.source)
            result = Restorer(self.task, choices, options)(shot, **options)
        pixels = result.pixels
        assert pixels.ndim == 3 and pixels.shape[2] in (1, 3) and pixels.size, (
            f"task {name}: {mode} mode gives pixels of shape {pixels.shape}"
        )
        if before is None:
            return pixels
        assert given.pixels is not None and np.array_equal(before, given.pixels), (
            f"task {name}: {mode} mode changes the pixels it is given"
        )
        assert pixels.dtype == before.dtype, (
            f"task {name}: {mode} mode makes {pixels.dtype} of {before.dtype}"
        )
        if given.alpha is not None:
            alpha = result.alpha
            assert alpha is not None and alpha.shape == pixels.shape[:2], (
                f"task {name}: {mode} mode loses the photo's alpha"
            )
        return pixels


@contextlib.contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Another state of the global generators, which nobody should ask."""
    of_torch, of_numpy = torch.get_rng_state(), np.random.get_state()
    torch.manual_seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(of_torch)
        np.random.set_state(of_numpy)


@contextlib.contextmanager
def errors_of(task: Task, where: str, pixels: np.ndarray | None) -> Iterator[None]:
    """A refusal in words is a task's right; any other error is a fault."""
    try:
        yield
    except RestorekitError:
        raise
    except Exception as error:
        what = "no photo" if pixels is None else f"{pixels.dtype} {pixels.shape}"
        kind = type(error).__name__
        raise AssertionError(
            f"task {task.name}: {where} raises {kind} for {what}: {error}"
        ) from error


def photo(size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8: a cat's face."""
    from skimage import data

    return np.ascontiguousarray(data.chelsea()[60 : 60 + size[0], 110 : 110 + size[1]])


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
    assert torch.equal(before, pixels), f"task {name}: observe changes the picture's pixels"
    size, guess = tuple(problem.size), problem.guess
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
