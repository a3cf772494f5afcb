"""What the check of tasks does not pass unseen: a wrong operator, and one that needs options."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from torch import Tensor

from restorekit.engine.conditioning import Degradation, Observation
from restorekit.engine.operators import Identity
from restorekit.errors import RestorekitError
from restorekit.task import Picture, Problem
from restorekit.testing import NeedsOptions, check_task

from .plain import Plain


class Demanding(Plain):
    trial = None

    def observe(self, picture: Picture, **options: Any) -> Problem:
        if options["strength"] == 1:
            raise RestorekitError("say how strong; give --strength")
        return super().observe(picture, **options)


class Halved(Identity):
    def adjoint(self, y: Tensor) -> Tensor:
        return y / 2


class Lopsided(Plain):
    def observe(self, picture: Picture, **options: Any) -> Problem:
        observation = Observation(picture.pixels, Degradation(Halved()))
        return dataclasses.replace(super().observe(picture, **options), observation=observation)


def test_its_operators_adjoint() -> None:
    with pytest.raises(AssertionError, match="adjoint of its Halved is none"):
        check_task(Lopsided())


def test_it_needs_options() -> None:
    with pytest.raises(NeedsOptions, match=r"\(say how strong; give --strength\); .* its options"):
        check_task(Demanding())
    check_task(Demanding(), {"strength": 0.9})
