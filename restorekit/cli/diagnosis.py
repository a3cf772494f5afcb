"""`restorekit diagnose` and `restorekit restore`: what is wrong with photos, and mending it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import RestorekitError
from ..options import FILES, FOLDERS, RESEARCH, Option, strength_option
from ..task import PRESETS
from .common import SOME_FAILED, choices_from, common_options, debug_option, json_text, shown
from .files import (
    file_options,
    folder_options,
    inputs_argument,
    output_option,
    restore_files,
)
from .help import Command

if TYPE_CHECKING:
    from ..diagnosis import Diagnosis, Restoration
    from ..folder.plan import Job

# Which differ from task to task.
CHOSEN = ("method", "sampler", "steps", "prior", "travel", "tuning")


def what_to_mend() -> list[click.Option]:
    return [
        Option(
            ["--preset"],
            type=click.Choice(PRESETS),
            help="What the photos are: scans of prints, which may have faded; a phone's (default); "
            "or from the web, of which small ones are enlarged.",
        ),
        strength_option(
            "Do less, or more, wherever a task knows of it; at 0 nothing is done.", most=10
        ),
    ]


def photos(inputs: tuple[Path, ...], problems: list[str]) -> list[Path]:
    """The files themselves, and those below folders that a run takes; what it leaves is told.

    Args:
        problems: to which folders that cannot be read are added.

    Raises:
        RestorekitError: if there are none.
    """
    from ..folder.left_out import LeftOut
    from ..folder.plan import walk

    found: list[Path] = []
    left_out = LeftOut()
    for path in inputs:
        if path.is_dir():
            found += [photo for photo, _ in walk(path, None, problems, left_out)]
        else:
            found.append(path)
    for line in left_out.told():
        click.echo(shown(line), err=True)
    if not found and not problems:
        raise RestorekitError(f"{inputs[0]}: holds no photos")
    return found


def diagnosis_of(path: Path, max_megapixels: float = 178) -> Diagnosis:
    from .. import images
    from ..diagnosis import diagnosed
    from ..shot import Shot

    photo = images.read(path, max_megapixels=max_megapixels)
    return diagnosed(Shot.of(photo, path.name))


def recommended(diagnosis: Diagnosis, values: dict[str, Any]) -> str:
    """The chain as text; empty for a sound photo."""
    from .. import chain_text
    from ..choices import Choices

    chain = diagnosis.chain(Choices(), values["preset"], values["strength"])
    return "" if chain is None else chain_text.written(chain)


def diagnose(inputs: tuple[Path, ...], as_json: bool, debug: bool, **values: Any) -> None:
    """Say what is wrong with photos, and what would mend it.

    The chain that is recommended is what `restorekit run` takes, and what `restorekit restore`
    does.
    """
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    looked_at = photos(inputs, problems)
    for problem in problems:
        click.echo(shown(f"restorekit: {problem}"), err=True)
    failed = bool(problems)
    for path in looked_at:
        try:
            diagnosis = diagnosis_of(path)
        except RestorekitError as error:
            failed = True
            click.echo(shown(f"restorekit: {error}"), err=True)
            rows.append({"photo": str(path), "found": [], "chain": "", "error": str(error)})
            continue
        chain = recommended(diagnosis, values)
        if as_json:
            findings = [
                {"by": one.by, "what": one.finding.what, **one.finding.figures}
                | ({"failed": True} if one.failed else {})
                for one in diagnosis.found
            ]
            rows.append({"photo": str(path), "found": findings, "chain": chain})
            continue
        click.echo(shown(path))
        for one in diagnosis.found:
            click.echo(shown(f"  {one.by:10} {one.finding.what}"))
        click.echo(shown(f"  {'->':10} {chain or diagnosis.idle(values['strength'])}"))
    if as_json:
        click.echo(json_text(rows))
    if failed:
        raise click.exceptions.Exit(
            1 if len(inputs) == 1 and not inputs[0].is_dir() else SOME_FAILED
        )


def restore(**values: Any) -> None:
    """Look at each photo, and do what it needs: what `restorekit diagnose` recommends.

    A sound photo is left as it is. --dry-run shows what would be done to each, as
    `restorekit run` takes it.
    """
    given: tuple[Path, ...] = values.pop("inputs")
    target: Path = values.pop("output")
    how = {
        option.name: values.pop(option.name)
        for option in (*file_options(), *folder_options())
        if option.name
    }
    spec = restoration_of(dict(values))

    def foreseen(job: Job) -> str:
        assert job.source is not None
        found = diagnosis_of(job.source, how["max_megapixels"])
        return recommended(found, values) or found.idle(values["strength"])

    restore_files(spec, spec.choices.device, given, target, 1, foreseen=foreseen, **how)


def restoration_of(values: dict[str, Any]) -> Restoration:
    """What a command line asks for: `values` of `what_to_mend` and `common`."""
    from ..diagnosis import Restoration

    preset, strength = values.pop("preset"), values.pop("strength")
    values.update(dict.fromkeys(CHOSEN))
    return Restoration(choices_from(values, "fidelity"), preset, strength)


def common() -> list[click.Parameter]:
    """Of all tasks, what does not differ from one to the other."""
    return [option for option in common_options(None) if option.name not in CHOSEN]


def commands() -> list[click.Command]:
    """`restorekit restore` and `restorekit diagnose`."""
    return [
        Command(
            "restore",
            own=[inputs_argument(), output_option(), *what_to_mend()],
            shared={FILES: file_options(), FOLDERS: folder_options(), RESEARCH: common()},
            callback=restore,
            help=restore.__doc__,
            short_help="Do whatever each photo needs.",
        ),
        Command(
            "diagnose",
            own=[
                inputs_argument(),
                *what_to_mend(),
                Option(["--json", "as_json"], is_flag=True, help="Print JSON.", once=True),
                debug_option(),
            ],
            callback=diagnose,
            help=diagnose.__doc__,
            short_help="Say what is wrong with photos.",
        ),
    ]
