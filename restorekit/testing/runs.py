"""A task at work on photos that it is given, and what comes out looked at."""

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
from ..errors import RestorekitError
from ..given import resolve
from ..images import Source
from ..restorer import Restorer
from ..shot import Shot
from ..task import Task
from ..units import converted

Options = Mapping[str, Any] | Callable[[int, int], Mapping[str, Any]]

TINY = 3, 2  # (H, W)
FEW = 2  # steps, where it does not matter how good a picture is


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
