"""`--shard I/N`: which part of a run is this process's, and what its reports are called."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click

from ..errors import RestorekitError

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


class Shard(click.ParamType):  # type: ignore[type-arg]
    """I/N, from 1/N to N/N."""

    name = "I/N"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        match = re.fullmatch(r"(\d+)/(\d+)", value) if isinstance(value, str) else None
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            self.fail(f"{value!r} is no shard; write I/N with I from 1 to N, as in 2/4", param, ctx)
        return int(match[1]), int(match[2])


def shard_of_process() -> tuple[int, int]:
    """This process's, where torchrun started several; else the whole.

    Single variables of those names are anybody's, and mean nothing.

    Raises:
        RestorekitError: if they name no part.
    """
    given = os.environ
    if "TORCHELASTIC_RUN_ID" not in given and not all(name in given for name in TORCHRUN):
        return 1, 1
    rank, size = given.get("RANK", "0"), given.get("WORLD_SIZE", "1")
    if not (rank.isdecimal() and size.isdecimal() and int(rank) < int(size)):
        raise RestorekitError(
            f"RANK={rank} and WORLD_SIZE={size} name no part of a run; give --shard I/N"
        )
    return int(rank) + 1, int(size)


def of_shard(report: Path, shard: tuple[int, int]) -> Path:
    """The name of a shard's own."""
    return report if shard[1] == 1 else report.with_stem(f"{report.stem}-{shard[0]}")
