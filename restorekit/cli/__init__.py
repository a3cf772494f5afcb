"""The command line. Thin: it parses, calls, prints; the tasks' commands come from the plugins."""

from __future__ import annotations

import os
import sys

import click

from .. import __version__, plugins
from ..errors import RestorekitError
from ..guard import reason
from . import chains, diagnosis, looking, web
from .common import shown
from .config import config
from .help import Plain, show_help
from .listing import methods, samplers
from .priors import priors_group
from .reports import evaluate
from .scaffolding import plugins_group
from .tasks import TaskCommands, task_command
from .training import train
from .trial import trial_command

COMPLETION = "_RESTOREKIT_COMPLETE"  # with which a shell asks; click answers and exits


class Program(TaskCommands):
    """The whole command line, whose commands begin with what the user's files say."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if not (ctx.resilient_parsing or isinstance(command, Plain)):
            from .settings import Settings

            try:
                ctx.default_map = Settings(ctx).default_map()
            except RestorekitError as error:
                if not {*ctx.help_option_names} & {*rest}:
                    raise
                click.echo(shown(f"restorekit: {error}"), err=True)  # help is there all the same
        return name, command, rest


cli = Program(
    task_command,
    name="restorekit",
    help="Restore photos with a diffusion prior.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
click.version_option(__version__, prog_name="restorekit")(cli)
cli.add_command(
    looking.Benchmarks(
        trial_command,
        name="benchmark",
        params=[looking.compare_option()],
        help="Degrade clean photos, restore them, and score beside a classical baseline.",
    )
)
for _command in (
    *diagnosis.commands(),
    chains.command(),
    *looking.commands(),
    web.command(),
    evaluate,
    train,
    priors_group,
    config,
    plugins_group,
    methods,
    samplers,
    show_help,
):
    cli.add_command(_command)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code.

    0: done; 1: an error; 2: wrong usage; 3: some of several photos failed; 4: a prior is
    unsound; 130: interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = cli.main(arguments, prog_name="restorekit", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        click.echo(f"restorekit: {' '.join(error.format_message().split())}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("restorekit: interrupted", err=True)
        return 130
    except (Exception, SystemExit) as error:
        completed = isinstance(error, SystemExit) and COMPLETION in os.environ
        if "--debug" in arguments or completed:
            raise
        message = reason(error)
        if not isinstance(error, RestorekitError):
            whose = plugins.registry().blamed(error)
            message = f"{whose or 'internal error: ' + message}; see --debug"
        click.echo(shown(f"restorekit: {message}"), err=True)
        return 1
    return code if isinstance(code, int) else 0
