"""What a page asks for, put together from its forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RestorekitError

if TYPE_CHECKING:
    from ..chain import Chain
    from ..diagnosis import Restoration
    from ..folder import Files
    from .forms import Form, Values


@dataclass(frozen=True)
class Asked:
    """What is to be done to a photo.

    Attributes:
        spec: a chain, or whatever the photo needs.
        device: where.
        samples: how many.
    """

    spec: Chain | Restoration
    device: str
    samples: int = 1


@dataclass(frozen=True)
class Written:
    """How its file is to be written.

    Attributes:
        files: as the command line's options have it.
        suffix: of another format than the photo's, or None.
    """

    files: Files
    suffix: str | None = None


def asked(
    forms: Mapping[str, Form], steps: Sequence[Mapping[str, Any]], file: Callable[[str], Path]
) -> Asked:
    """What several steps ask for together.

    Args:
        forms: by their names.
        steps: each with its form's name, as "task", and its "values".
        file: the path of what the page calls a file.

    Raises:
        RestorekitError: for a form that is not there, a wrong value, or steps that do not go
            together.
    """
    from ..chain import Chain

    parts: list[Asked] = []
    for step in steps:
        if step.get("task") not in forms or not isinstance(step.get("values"), dict):
            raise RestorekitError(f"{step.get('task')!r} is no task; choose one of the list")
        values: Values = step["values"]
        parts.append(forms[step["task"]].read(values, file))
    if not parts:
        raise RestorekitError("nothing is to be done; choose a task")
    if len(parts) == 1:
        return parts[0]
    chains = [part.spec for part in parts if isinstance(part.spec, Chain)]
    if len(chains) < len(parts):
        raise RestorekitError("'restore' chooses its tasks itself; let it be the only one")
    links = tuple(link for chain in chains for link in chain.links)
    return Asked(Chain(links), parts[0].device, max(part.samples for part in parts))
