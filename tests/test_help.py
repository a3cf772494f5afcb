"""Help that people can read, names that are close, and completion in shells."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from restorekit import cli
from restorekit.cli.tasks import task_command
from restorekit.options import HEADINGS, HOW_STRONG, Option
from restorekit.task import Recipe, Task

from .commands import run


def sections(text: str) -> dict[str, str]:
    """What a help says under each heading, in its order."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            found[line[:-1]] = heading = ""
            heading = line[:-1]
        elif found:
            found[heading] += line + "\n"
    return found


def options_of(section: str) -> set[str]:
    lines = (line for line in section.splitlines() if line.startswith("  -"))
    return {word.strip(",") for line in lines for word in line.split() if word.startswith("--")}


def test_options_are_under_headings(capfd: pytest.CaptureFixture[str]) -> None:
    """Every one under one of them, the plainest first."""
    assert run("denoise --help") == 0
    found = sections(capfd.readouterr().out)
    assert list(found) == list(HEADINGS)
    at = {option: heading for heading, text in found.items() for option in options_of(text)}
    wanted = {"--output": "What", "--strength": "How strong", "--mode": "How strong"}
    wanted |= {"--on-exists": "Files", "--shard": "Folders", "--tile": "Speed and memory"}
    assert at.items() >= (wanted | {"--method": "Research", "--samples": "Research"}).items()
    command = cli.cli.get_command(click.Context(cli.cli), "denoise")
    assert command is not None
    declared = {o for p in command.params for o in p.opts if o.startswith("--")}
    assert set(at) - {"--no-provenance", "--help"} == declared
    for jargon in ("PSNR", "posterior", "prior", "sampler", "standard deviation"):
        assert jargon not in found["What"]


def test_a_plugins_options_come_first() -> None:
    """As plain options of click; one that names a heading is there."""

    class Mine(Task):
        name = "mine"
        options = (
            click.Option(["--plain"], help="Its own."),
            Option(["--much"], heading=HOW_STRONG, help="Of it."),
            Option(["--odd"], heading="Odds", help="And ends."),
        )
        recipes = {"fidelity": Recipe("none", "ddim", 1)}

    context = click.Context(task_command(Mine()), info_name="mine")
    found = sections(context.get_help())
    assert "--plain" in found["What"] and "--preview" in found["What"]
    assert "--much" in found["How strong"]
    assert list(found)[-1] == "Odds" and "--odd" in found["Odds"]


@pytest.mark.parametrize("words", ["", "denoise", "benchmark inpaint", "priors show", "priors"])
def test_help_is_the_commands_own(words: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(f"help {words}") == 0
    told = capfd.readouterr()
    assert run(f"{words} --help") == 0
    assert capfd.readouterr() == told
    assert told.out.startswith(" ".join(f"Usage: restorekit {words}".split()))


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("denosie in.png -o out.png", "denoise"),
        ("benchmrk denoise", "benchmark"),
        ("benchmark superes x", "superres"),
        ("priors lst", "list"),
        ("help inpiant", "inpaint"),
        ("config pth", "path"),
    ],
)
def test_close_names_are_told(capfd: pytest.CaptureFixture[str], command: str, meant: str) -> None:
    assert run(command) == 2
    err = capfd.readouterr().err
    assert len(err.splitlines()) == 1 and f"Did you mean '{meant}'" in err


def test_what_listing_plugins_takes(capfd: pytest.CaptureFixture[str]) -> None:
    """The group's help tells of the options of the command that it stands for."""
    assert run("plugins --help") == 0
    out = capfd.readouterr().out
    assert all(word in out for word in ("--check", "--json", "NAME"))


def test_nothing_close(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("benchmark zzz") == 2
    assert "`restorekit benchmark --help`" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "number", "wanted"),
    [
        ("restorekit den", 1, "plain,denoise"),
        ("restorekit benchmark in", 2, "plain,inpaint"),
        ("restorekit denoise --stren", 2, "plain,--strength"),
        ("restorekit denoise in", 2, "file,in"),
        ("restorekit denoise --mode p", 3, "plain,perceptual"),
        ("restorekit help benchmark su", 3, "plain,superres"),
    ],
)
def test_completion(words: str, number: int, wanted: str) -> None:
    """Of tasks, options and files, as bash asks for it; light enough for a key press."""
    code = (
        "import sys, atexit; from restorekit.cli import main;"
        "atexit.register(lambda: print('torch' in sys.modules)); sys.exit(main([]))"
    )
    asked = {
        "_RESTOREKIT_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(number),
    }
    ended = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True
    )
    *offered, heavy = ended.stdout.split()
    assert wanted in offered and heavy == "False", ended
    assert ended.returncode == 0 and not ended.stderr, "which lands in the prompt"
