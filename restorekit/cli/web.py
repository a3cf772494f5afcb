"""`restorekit web [FOLDER]`: a page in the browser, for people who would rather not type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import plugins
from ..errors import RestorekitError
from ..options import FILES, MACHINE, RESEARCH, Option
from ..task import Task
from .common import PATH, common_options, shown
from .diagnosis import common, restoration_of, what_to_mend
from .files import file_options, folder_options, samples_option
from .help import Command
from .tasks import chain_of

if TYPE_CHECKING:
    from ..web.asked import Asked, Written
    from ..web.forms import Form

MISSING = "the page needs more packages; pip install 'restorekit[web]'"
# Of the file options, what a page decides by itself: it never overwrites, and tells everything.
DECIDED = ("on_exists", "max_megapixels", "quiet")


def commands() -> Iterator[tuple[str, Command]]:
    """What can be done to a photo, and as what people read it."""

    def asked(task: Task) -> Callable[..., Asked]:
        def callback(**values: Any) -> Asked:
            from ..web.asked import Asked

            samples: int = values.pop("samples")
            chain = chain_of(task, samples, values)
            return Asked(chain, chain.links[0].choices.device, samples)

        return callback

    def restored(**values: Any) -> Asked:
        from ..web.asked import Asked

        spec = restoration_of(values)
        return Asked(spec, spec.choices.device)

    yield (
        "Whatever it needs",
        Command(
            "restore",
            own=what_to_mend(),
            shared={RESEARCH: common()},
            callback=restored,
            help="Look at the photo, and mend what is found.",
        ),
    )
    for name, task in sorted(plugins.registry().tasks.items()):
        if task.takes_photo:
            yield (
                name,
                Command(
                    name,
                    own=task.options,
                    shared={RESEARCH: [*common_options(task), samples_option()]},
                    callback=asked(task),
                    help=task.summary,
                ),
            )


def writing() -> Command:
    """How files are written."""
    options = [o for o in [*folder_options(), *file_options()] if o.name not in DECIDED]
    written = [o for o in options if o.name in {"suffix", *(f.name for f in file_options())}]

    def callback(suffix: str | None, bit_depth: str | None, **how: Any) -> Written:
        from ..folder import Files
        from ..web.asked import Written

        depth = int(bit_depth) if bit_depth else None
        return Written(Files(bit_depth=depth, **how), f".{suffix}" if suffix else None)

    return Command("writing", own=[], shared={FILES: written}, callback=callback)


def forms(defaults: dict[str, Any]) -> tuple[dict[str, Form], Form]:
    """The tasks' forms, and that of how files are written."""
    from ..web.forms import Form

    tasks = {
        command.name or "": Form(
            command, title, command.heading_of, defaults.get(command.name or "", {})
        )
        for title, command in commands()
    }
    how = writing()
    names = {parameter.name for parameter in how.params}
    known = {n: v for n, v in defaults.get("restore", {}).items() if n in names}
    return tasks, Form(how, "How files are written", how.heading_of, known)


def web(
    folder: Path, output: Path | None, host: str, port: int, browser: bool, max_megapixels: float
) -> None:
    """Restore photos on a page in the browser.

    It shows the photos of a FOLDER, by default the one you are in: tries tasks on a part of one,
    lets masks be painted, and saves what is restored in the output folder. Only this machine
    can open it, by the address that is printed, and it reaches no file outside the folder.
    """
    try:
        from ..web import server
    except ImportError as error:
        raise RestorekitError(f"{MISSING} ({error.name} is missing)") from error

    folder = folder.absolute()
    if not folder.is_dir():
        raise RestorekitError(f"{folder}: is no folder; name one with photos in it")
    root = click.get_current_context().find_root()
    tasks, how = forms(dict(root.default_map or {}))

    def ready(address: str) -> None:
        click.echo(shown(address))
        click.echo("Ctrl-C ends it.", err=True)
        if browser:
            click.launch(address)

    server.serve(
        folder,
        folder / "restored" if output is None else output.absolute(),
        tasks,
        how,
        host=host,
        port=port,
        max_megapixels=max_megapixels,
        ready=ready,
    )


def command() -> click.Command:
    """`restorekit web`."""
    largest = next(option for option in file_options() if option.name == "max_megapixels")
    return Command(
        "web",
        own=[
            click.Argument(["folder"], type=PATH, default="."),
            Option(
                ["-o", "--output"],
                type=PATH,
                once=True,
                help="Folder for what is restored; by default `restored` in the folder.",
            ),
            Option(
                ["--browser/--no-browser"],
                default=True,
                help="Open the page in the browser. By default it does.",
            ),
            Option(
                ["--host"],
                default="127.0.0.1",
                show_default=True,
                heading=MACHINE,
                once=True,
                help="Address to listen on. Any other than the default lets other machines in, "
                "without encryption: whoever reads the address on its way may use the page.",
            ),
            Option(
                ["--port"],
                type=click.IntRange(0, 65500),
                default=8765,
                show_default=True,
                heading=MACHINE,
                help="Port, or one of the next where it is taken; 0: any.",
            ),
        ],
        shared={FILES: [largest]},
        callback=web,
        help=web.__doc__,
        short_help="Restore photos on a page in the browser.",
    )
