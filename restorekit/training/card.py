"""A model card, made from what a run knows of itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .. import soundness
from ..engine.unet import UNet
from .settings import Settings

WHITE = """\
Trained for white Gaussian noise of a known level; compression, film grain and the patterns of a
  sensor are outside what it saw."""
REAL = """\
The noise of cameras, film and files that it saw is a model of theirs: what a phone does to a
  picture, and to its noise, may be another thing."""
TEMPLATE = """# {name}

A prior of restorekit: {parameters:.2f} million parameters, kept in {bits} bits each.

| | |
|---|---|
| network | {network} |
| sees | {sees} |
| schedule, parametrisation, objective | {schedule}, {parametrisation}, {objective} |
| trained on | {photos} pictures, and {held_out} held out |
| started from | {started_from} |
| training | {steps:,} steps of {batch} crops of {crop} x {crop} pixels, {minutes} minutes |

## Scores

On held-out pictures, one evaluation at the known noise level, and the variational bound:

| | |
|---|---|
{scores}

## Soundness

{rows} questions about less noise than is told, none, JPEG, dark, flat and saturated pictures, as in
`restorekit priors check`; error and shift of an 8 x 8 block's mean are shares of the level told:

| | |
|---|---|
{soundness}

## Licence and attribution

{licences}

## Limits

- {saw}
- {limit}

## Made with

    restorekit train PHOTOS -o RUN --config run.toml{budget}{init}

where run.toml is

```toml
{settings}
```
"""


def text(described: dict[str, Any], settings: Settings) -> str:
    """The card of what `export` describes, in Markdown."""
    network, photos = settings.network, described["photos"]
    halo = network.halo
    kind = f"widths {network.widths}, {network.blocks} {network.block} blocks a level and direction"
    if network.unshuffle > 1:
        kind += f", after a pixel-unshuffle by {network.unshuffle}"
    if network.attention:
        kind += f", attention on levels {network.attention}"
    sees = "everything at once; larger pictures are put together from blended windows"
    if halo is not None:
        sees = f"{halo} pixels around each pixel: every layer is local, tiles are exact"
    return TEMPLATE.format(
        name=described["name"],
        bits=settings.bits,
        parameters=sum(p.numel() for p in UNet(network).parameters()) / 1e6,
        network=kind,
        sees=sees,
        schedule=settings.schedule,
        parametrisation=settings.parametrisation,
        objective=settings.objective,
        photos=photos[0] - photos[1],
        held_out=photos[1] or "none, so that the scores are on pictures it saw",
        started_from=described["started_from"] or "random weights",
        steps=described["steps"],
        batch=settings.batch,
        crop=settings.crop,
        minutes=described["minutes"],
        budget=f" --time-budget {described['time_budget']:g}" if described["time_budget"] else "",
        init=" --init STARTED_FROM" if described["started_from"] else "",
        scores=as_rows(described["scores"]),
        rows=len(soundness.quick()),
        soundness=as_rows(described["soundness"]),
        licences=licensed(described["licences"]),
        saw=REAL if settings.real else WHITE,
        limit="Local: it completes texture and edges, not objects."
        if halo is not None
        else f"Made for pictures of {settings.crop} x {settings.crop} pixels.",
        settings=as_toml(settings),
    )


def licensed(licences: dict[str, int]) -> str:
    """How many photos there are under each licence, in words."""
    counted = ", ".join(f"{count} {name}" for name, count in licences.items())
    if not counted:
        return "Say here whose pictures these are, and under which licences."
    return f"{counted}; `prior-attribution.tsv` names author and source of each."


def as_rows(values: dict[str, float]) -> str:
    """Names and figures as rows of a table."""
    rows = [f"| {name.replace('_', ' ')} | {value} |" for name, value in values.items()]
    return "\n".join(rows) or "| not validated yet | |"


def as_toml(settings: Settings, without: Sequence[str] = ()) -> str:
    """Settings as `--config` reads them, without those of some names."""
    values = {name: value for name, value in settings.as_dict().items() if name not in without}
    network = values.pop("network", None)

    def lines(table: dict[str, Any]) -> list[str]:
        return [f"{key} = {json.dumps(value)}" for key, value in table.items()]

    if network is None:
        return "\n".join(lines(values))
    return "\n".join([*lines(values), "", "[network]", *lines(network)])
