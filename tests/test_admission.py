"""How plugins are let in: once, inside a guard; and what fails later names them."""

from __future__ import annotations

import inspect
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest

from restorekit import __version__, admission, api, cli, plugins
from restorekit.cli.tasks import task_command
from restorekit.cli.trial import trial_command
from restorekit.engine.sampler import GRIDS
from restorekit.errors import RestorekitError
from restorekit.guard import guarded, reason
from restorekit.plugins import Plugin
from restorekit.task import GRIDS as GRID_NAMES
from restorekit.task import Task, Trial

from .commands import run, save
from .sites import HEALTHY, all_else_works, install, installed, task

__all__ = ["installed"]  # a fixture

MINE = HEALTHY.replace("wash", "bad")  # a sound one under the other's name


def test_another_version_of_restorekit(
    installed: Callable[..., Plugin], capfd: pytest.CaptureFixture[str]
) -> None:
    """What pip was told, and has not kept; extras aside."""
    fine = ["restorekit >=0.1,<9", "torch>99", "restorekit>99; extra == 'future'"]
    assert installed(MINE, requires=fine).problem == ""
    fine[0] = "restorekit[heif] (>=99)"
    sys.modules.pop("bad")
    plugin = installed(MINE, requires=fine)
    assert f"it needs restorekit >=99, and this is {__version__}" in plugin.problem
    assert "bad" not in sys.modules  # it was not even imported
    all_else_works(capfd)


def test_what_is_said_is_read_once(
    installed: Callable[..., Plugin], capfd: pytest.CaptureFixture[str]
) -> None:
    """A summary or options that fail when they are read again are not read again."""
    later = """
def once(value):
    def read(self, seen=[]):
        seen.append(1)
        return value if len(seen) < 2 else 1 / 0
    return property(read)
summary = once("Fine at first.")
options = once([click.Option(["--odd"])])
"""
    assert installed(task(later)).problem == ""
    assert run("--help") == 0 and "Fine at first." in capfd.readouterr().out
    assert run("bad --help") == 0 and "--odd" in capfd.readouterr().out


def test_half_deleted(
    installed: Callable[..., Plugin], here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A package without its metadata, and one without its module."""
    installed(MINE)
    sys.modules.pop("bad")
    (here / "site" / "bad.py").unlink()
    all_else_works(capfd)
    assert run("plugins bad") == 1
    assert "import failed, ModuleNotFoundError" in capfd.readouterr().out
    metadata = here / "site" / "bad-2.5.dist-info" / "METADATA"
    for spoil in (lambda: metadata.write_bytes(b"Name: \xff"), metadata.unlink):
        spoil()
        all_else_works(capfd)
        assert run("plugins bad") == 1
        assert "metadata cannot be read; install it again" in capfd.readouterr().out


def test_the_first_keeps_its_name(
    installed: Callable[..., Plugin],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The second's is told of, wherever names are looked up; the rest of it works."""
    more = "\n@hookimpl\ndef restorekit_methods(): return {'ddnm': max, 'mine': min}\n"
    plugin = installed(task("pass") + more)
    said = "method 'ddnm' is left out, as plugin restorekit"
    assert plugin.problem == "" and said in plugin.notes[0]
    assert said in caplog.text and "plugin bad 2.5" in caplog.text
    offered = plugins.registry().offered("method")
    assert offered["mine"] is min and offered["ddnm"] is not max
    assert run("plugins bad") == 0 and said in capfd.readouterr().out
    assert run("plugins bad --json") == 0
    (told,) = json.loads(capfd.readouterr().out)
    assert told["notes"] == plugin.notes and told["tasks"] == ["bad"]
    all_else_works(capfd)


def test_slow_ones_are_named(
    installed: Callable[..., Plugin],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(plugins, "SLOW", 0.2)
    plugin = installed("import time; time.sleep(0.25)\n" + MINE)
    assert plugin.seconds > 0.2 and plugin.problem == ""
    (told,) = (r.getMessage() for r in caplog.records if "seconds to load" in r.getMessage())
    assert told.startswith("plugin bad 2.5 took 0.") and "RESTOREKIT_PLUGINS" in told


def test_what_a_plugin_prints_spoils_no_output(
    installed: Callable[..., Plugin], capfd: pytest.CaptureFixture[str]
) -> None:
    installed("print('hello')\n" + MINE)
    sys.modules.pop("bad")
    plugins.registry.cache_clear()
    assert run("plugins --json") == 0
    out, err = capfd.readouterr()
    assert json.loads(out) and "hello" in err


def test_ctrl_c_is_the_users() -> None:
    """Raised by code it is that code's failure; by a signal it ends the program."""
    handler = signal.getsignal(signal.SIGINT)
    with (
        pytest.raises(RestorekitError, match="import failed, KeyboardInterrupt"),
        guarded("import"),
    ):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), guarded("import"):
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait([], 5)  # it comes at once
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize(
    ("said", "there", "told"),
    [
        (None, {"bad", "wash"}, ""),
        ("", set(), ""),
        ("healthy", {"wash"}, ""),
        (" Bad , healthy ", {"bad", "wash"}, ""),
        ("bad,nobody's", {"bad"}, 'names "nobody\'s", which is not installed'),
    ],
)
def test_which_are_let_in(
    installed: Callable[..., Plugin],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    said: str | None,
    there: set[str],
    told: str,
) -> None:
    installed(MINE)
    if said is not None:
        monkeypatch.setenv("RESTOREKIT_PLUGINS", said)
    plugins.registry.cache_clear()
    tasks = set(plugins.registry().tasks)
    assert tasks & {"bad", "wash"} == there and "denoise" in tasks
    assert told in caplog.text if told else "RESTOREKIT_PLUGINS" not in caplog.text
    capfd.readouterr()
    assert run("plugins bad") == ("bad" not in there)
    out = "'bad' is installed, and not let in: RESTOREKIT_PLUGINS names others"
    assert (out in capfd.readouterr().err) == ("bad" not in there)


def test_the_table(installed: Callable[..., Plugin], capfd: pytest.CaptureFixture[str]) -> None:
    """Of some plugins: a line for each thing that they offer, columns one below the other."""
    installed(MINE + "\n@hookimpl\ndef restorekit_methods(): return {'one': max, 'two': max}\n")
    assert run("plugins bad healthy") == 0
    heads, mine, more, other = capfd.readouterr().out.splitlines()
    assert heads.split() == ["plugin", "distribution", "version", "load", "health", "offers"]
    assert mine.split()[:3] == ["bad", "bad", "2.5"] and mine.endswith("sound   task bad")
    assert more.strip() == "methods one, two" and other.endswith("sound   task wash")
    assert heads.index("offers") == mine.index("task") == more.index("methods")
    assert run("plugins nobodys") == 1
    assert "'nobodys' is not installed" in capfd.readouterr().err


# --- At work -------------------------------------------------------------------------------------

FAILING = {
    "observe": task("def observe(self, picture): return helped()") + "\ndef helped(): 1 / 0\n",
    "sys.exit": task("def observe(self, picture): raise SystemExit('enough')"),
    "reads": task("def reads(self, name): 1 / 0"),
    "a method": task("recipes = {'fidelity': Recipe('mine', 'ddim', 1)}")
    + "\n@hookimpl\ndef restorekit_methods():\n    def mine(prior, y): 1 / 0\n"
    "    return {'mine': mine}\n",
    "a step": task("recipes = {'fidelity': Recipe('none', 'mine', 1)}")
    + "\n@hookimpl\ndef restorekit_samplers():\n    def mine(*all): raise SystemExit\n"
    "    return {'mine': mine}\n",
}


@pytest.mark.parametrize("code", FAILING.values(), ids=FAILING)
def test_failures_at_work_name_the_plugin(
    installed: Callable[..., Plugin], capfd: pytest.CaptureFixture[str], code: str
) -> None:
    """For one photo and for those of a folder, without a traceback."""
    noisy = code.replace("x, 0.0, True", "x, 0.1")  # so that the sampler has something to do
    assert installed(noisy).problem == ""
    save("in/a.png", np.zeros((12, 13, 3), np.uint8))
    assert run("bad in/a.png -o out.png --prior photo-fast") == 1
    (one,) = capfd.readouterr().err.splitlines()
    assert "plugin bad 2.5: " in one and " failed, " in one and "(bad.py, line " in one
    assert "ZeroDivisionError: division by zero" in one or "SystemExit" in one
    assert run("bad in -o out --prior photo-fast") in (1, 3)
    err = capfd.readouterr().err
    assert "plugin bad 2.5: " in err and "Traceback" not in err


def test_findings_that_fail_name_the_plugin(
    installed: Callable[..., Plugin], capfd: pytest.CaptureFixture[str]
) -> None:
    installed(task("def find(self, picture):\n    yield 1 / 0"))
    save("a.png", np.zeros((40, 50, 3), np.uint8))
    assert run("diagnose a.png") == 0
    (line,) = (x for x in capfd.readouterr().out.splitlines() if x.startswith("  bad"))
    assert "could not look: plugin bad 2.5: find failed, ZeroDivisionError" in line


FAILS = "\n@hookimpl\ndef restorekit_metrics(): return {'lost': lambda a, b, top: 1 / 0}\n"


def test_a_metric_that_fails_leaves_its_column_empty(
    installed: Callable[..., Plugin],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The others are computed; it is said whose it is, and the exit code tells."""
    installed(MINE + FAILS)
    photo = np.random.default_rng(0).integers(0, 255, (16, 17, 3), np.uint8)
    save("in/a.png", photo)
    assert run("evaluate in in") == 3
    out, err = capfd.readouterr()
    heads, row, _ = (line.split() for line in out.splitlines())
    assert {"psnr", "ssim", "lost"} <= {*heads} and row[1:3] == ["inf", "1.0000"]
    assert "metric lost of plugin bad 2.5 has no number" in err
    assert "lost: no number, ZeroDivisionError: division by zero" in caplog.text
    assert run("evaluate in in --json") == 3
    (found,) = json.loads(capfd.readouterr().out)["images"]
    assert found["lost"] is None and found["ssim"] == 1
    command = "benchmark denoise in --sigma 20 --prior photo-fast --json report.json"
    assert run(command) == 3
    assert "metric lost of plugin bad 2.5 has no number" in capfd.readouterr().err
    mean = json.loads(Path("report.json").read_text())["mean"]
    assert mean["lost"] is None and mean["psnr"] > 10


def test_what_is_offered_is_tried(
    installed: Callable[..., Plugin], capfd: pytest.CaptureFixture[str]
) -> None:
    """By the conformance kit, which says what is wrong."""
    fine = "import numpy as np\n@hookimpl\ndef restorekit_metrics():\n    def gain(a, b, top):\n"
    fine += "        return -float(np.abs(a - b).mean()) / top\n    return {'gain': gain}\n"
    start = "from restorekit.hookspecs import hookimpl\n"
    installed(start + fine)
    assert run("plugins bad --check") == 0
    assert "checked" in capfd.readouterr().out
    sys.modules.pop("bad")
    installed(start + fine.replace("-float", "float"))  # it says that worse is better
    assert run("plugins bad") == 0
    assert run("plugins bad --check") == 1
    assert "BROKEN  metric 'gain' fails its check: metric gain must" in capfd.readouterr().out


def test_all_that_fails_is_told(
    installed: Callable[..., Plugin], capfd: pytest.CaptureFixture[str]
) -> None:
    """A line each; and what could not be tried is not sound."""
    wrong = "\n@hookimpl\ndef restorekit_methods(): return {'one': lambda prior, y: prior"
    installed(MINE + wrong + ", 'two': lambda prior, y: 1 / 0}\n")
    assert run("plugins bad healthy --check") == 1
    lines = capfd.readouterr().out.splitlines()
    (one,), (two,) = ([x for x in lines if f"method '{name}'" in x] for name in ("one", "two"))
    assert "fails its check: method" in one and "division by zero" in two
    assert next(x for x in lines if x.startswith("healthy")).split()[5] == "BROKEN"  # one mode
    assert run("plugins deblur --check --json") == 0
    (found,) = json.loads(capfd.readouterr().out)
    (left,) = found["checks"]["left"]
    assert "not checked: task deblur refuses a photo by default (say how" in left
    assert found["problem"] == "" and found["checks"]["passed"] == []
    assert run("plugins denoise --check") == 0
    assert " checked " in capfd.readouterr().out


def test_an_unknown_name_tells_of_broken_plugins(
    installed: Callable[..., Plugin], capfd: pytest.CaptureFixture[str]
) -> None:
    """It may be one of theirs."""
    installed("1 / 0")
    assert run("bad in.png -o out.png") == 2
    assert "(bad is broken, see `restorekit plugins`)" in capfd.readouterr().err
    (Path("site") / "worse.py").write_text("1 / 0")
    install(Path("site"), "worse", {"worst": "worse"})
    plugins.registry.cache_clear()
    for name, said in (("worst", "(worse is broken"), ("other", "(bad, worse are broken")):
        assert run(f"{name} in.png -o out.png") == 2
        assert said in capfd.readouterr().err
    with pytest.raises(RestorekitError, match="bad is broken"):
        api.restore("bad", np.zeros((8, 8, 3)))


# --- What admission knows ------------------------------------------------------------------------


class Whole(Task):
    name = "whole"
    trial = Trial(lambda *_: None, lambda *_: None)  # type: ignore[arg-type, return-value]


def test_all_names_that_are_taken_are_known() -> None:
    """Commands, options and arguments of ours: a plugin that has one is refused."""
    assert cli.cli.commands.keys() == admission.COMMANDS

    def flags(command: click.Command) -> set[str]:
        said = (flag for p in command.params for flag in (*p.opts, *p.secondary_opts))
        return {flag for flag in said if flag.startswith("-")} | {"-h", "--help"}

    assert flags(task_command(Whole())) == admission.SHARED | admission.RESTORING
    assert flags(trial_command(Whole())) == admission.SHARED | admission.TRYING
    names = {f.lstrip("-").replace("-", "_") for f in admission.SHARED | admission.RESTORING}
    assert set(inspect.signature(api.restore).parameters) <= names | admission.ARGUMENTS
    for command in (task_command(Whole()), trial_command(Whole())):
        assert {p.name for p in command.params} <= names | admission.ARGUMENTS | {
            f.lstrip("-").replace("-", "_") for f in admission.TRYING
        }
    assert set(GRID_NAMES) == GRIDS.keys()


def test_reasons_are_one_line() -> None:
    assert reason(ValueError("a\n  b")) == "ValueError: a b"
    assert reason(RestorekitError("a\nb")) == "a b"
    assert reason(SystemExit()) == "SystemExit"
