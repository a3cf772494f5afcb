"""The gate for state: what was stored earlier fits its schema, or is refused as it is read back.

Whoever stores something describes it by a type: a dataclass, TypedDict or msgspec.Struct, with
bounds as `Annotated[int, msgspec.Meta(ge=0)]`. Beyond the door nobody checks again. Numbers that
are not finite, JSON nested without end and bytes that are no UTF-8 fit no schema.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from .errors import RestorekitError

log = logging.getLogger(__name__)

Kind = TypeVar("Kind")
Fitting = type[Kind]


def fitted(value: Any, kind: Fitting[Kind], where: object, remedy: str) -> Kind:
    """A value that is decoded already, as its schema has it.

    Args:
        kind: the schema.
        where: the file, for the message.
        remedy: what to do about one that does not fit, for the message.

    Raises:
        RestorekitError: if it does not fit.
    """
    try:
        return msgspec.convert(value, kind)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise unfit(where, error, remedy) from error


def from_json(data: bytes | str, kind: Fitting[Kind], where: object, remedy: str) -> Kind:
    """What a JSON document holds. Arguments and errors are those of `fitted`."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise unfit(where, error, remedy) from error


def rows_from(data: bytes, kind: Fitting[Kind], where: Path) -> list[Kind]:
    """The rows of JSON lines, in order. Those that do not fit are counted in a warning, and so is
    the number of the first; a last line that a kill has torn is passed over without a word."""
    decoder = msgspec.json.Decoder(kind)
    lines = data.split(b"\n")
    torn = len(lines) - 1  # empty, where the last line was ended
    rows, wrong = [], []
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            if b"\\ud" in line:  # of a name that is no text, half a pair: msgspec takes none
                rows.append(msgspec.convert(json.loads(line), kind))
            else:
                rows.append(decoder.decode(line))
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
            if number != torn:
                wrong.append(number + 1)
    if wrong:
        log.warning("%s: %d rows passed over, the first is line %d", where, len(wrong), wrong[0])
    return rows


def unfit(where: object, error: BaseException, remedy: str) -> RestorekitError:
    """What to raise where something does not fit."""
    why = " ".join((str(error) or type(error).__name__).split())
    return RestorekitError(f"{where}: {why[:300]}; {remedy}")
