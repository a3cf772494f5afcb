"""The conformance kit for tasks: ours pass, and every check finds what was broken on purpose."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import click
import numpy as np
import pytest
import torch

from restorekit import plugins
from restorekit.task import Finding, Picture, Problem, Recipe, Task
from restorekit.testing import (
    check_task,
)

from .plain import Plain


@pytest.mark.parametrize("name", sorted(plugins.registry().tasks))
def test_tasks(name: str) -> None:
    needed = {"deblur": {"gaussian": 1.0}}
    check_task(plugins.registry().task(name), needed.get(name))


class Silent(Plain):
    summary = ""


class Unexplained(Plain):
    options = (click.Option(["--strength"], type=float, default=1.0),)


class OneMode(Plain):
    recipes = {"fidelity": Recipe("none", "ddim", steps=1)}


class Global(Plain):
    def observe(self, picture: Picture, **options: Any) -> Problem:
        problem = super().observe(picture, **options)
        return dataclasses.replace(problem, guess=torch.randn(picture.pixels.shape))


class InPlace(Plain):
    def observe(self, picture: Picture, **options: Any) -> Problem:
        picture.pixels.clamp_(-0.5, 0.5)
        return super().observe(picture, **options)


class Colourful(Plain):
    """Asks for a third channel that grey photos have not got."""

    def observe(self, picture: Picture, **options: Any) -> Problem:
        picture.pixels[:, 2].mean()
        return super().observe(picture, **options)


class Talkative(Plain):
    def observe(self, picture: Picture, **options: Any) -> Problem:
        return dataclasses.replace(super().observe(picture, **options), notes=("one\ntwo",))


class Misplaced(Plain):
    def observe(self, picture: Picture, **options: Any) -> Problem:
        problem = super().observe(picture, **options)
        return dataclasses.replace(problem, keep=np.zeros((1, *problem.size), dtype=bool))


class Promising(Plain):
    def find(self, picture: Picture) -> Iterable[Finding]:
        return [Finding("noise", options={"sigma": 20})]


class Harmful(Plain):
    """Gives back what is darker than what it was given."""

    def observe(self, picture: Picture, **options: Any) -> Problem:
        problem = super().observe(picture, **options)
        return dataclasses.replace(problem, finish=lambda x: x - 0.3)


class Fickle(Plain):
    def degrade(
        self, clean: np.ndarray, noise: Any, **options: Any
    ) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        noisy = clean / 255 + np.random.default_rng().normal(0, self.sigma, clean.shape)
        return clean, noisy.astype(np.float32), options


def test_a_task_without_a_fault() -> None:
    check_task(Plain())


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (Silent, "summary must be one line"),
        (Unexplained, "--strength has no help text"),
        (OneMode, "no recipe for perceptual mode"),
        (Global, "other pixels for the same photo and seed"),
        (InPlace, "observe, or its guesser, changes the picture's pixels"),
        (Colourful, "raises IndexError for uint8"),
        (Talkative, "a note must be one line"),
        (Misplaced, "keep must be bool"),
        (Promising, "finds what it cannot mend: plain has no option 'sigma'"),
        (Harmful, "makes its trial's photo worse"),
        (Fickle, "degrades differently each time"),
    ],
)
def test_a_broken_task(broken: type[Task], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_task(broken())
