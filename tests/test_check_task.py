"""A task that cannot do without options says so to its check, which does not pass it unseen."""

from __future__ import annotations

from typing import Any

import pytest

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


def test_it_needs_options() -> None:
    with pytest.raises(NeedsOptions, match=r"\(say how strong; give --strength\); .* its options"):
        check_task(Demanding())
    check_task(Demanding(), {"strength": 0.9})
