"""Plugins that are broken in every way: it is said of whom and how, and all else works."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from restorekit.plugins import Plugin

from .commands import run
from .sites import all_else_works, hook, installed, recipe, task

__all__ = ["installed"]  # a fixture

# What is in the module, and what is to be said of it.
BROKEN = {
    # At import.
    "raises": ("raise OSError('no driver\\nfor this card')", "OSError: no driver for this card"),
    "exits": ("import sys; sys.exit(3)", "import failed, SystemExit: 3"),
    "interrupts": ("raise KeyboardInterrupt", "import failed, KeyboardInterrupt"),
    "is beyond exceptions": ("class E(BaseException): pass\nraise E('x')", "import failed, E: x"),
    "cannot say": (
        "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
        "import failed, E",
    ),
    "no Python": ("def restorekit_tasks(: pass", "import failed, SyntaxError"),
    "recursive": ("from restorekit.plugins import Registry\ndef f(): f()\nf()", "RecursionError"),
    "another API": ("restorekit_api = 99", "version 99 of the plugin API"),
    # Its hooks.
    "empty": ("x = 1", "bad: it implements no hook"),
    "unmarked": (
        hook("tasks()", "return []", ""),
        "restorekit_tasks lacks its decorator",
    ),
    "misspelt": (hook("taks()", "return []"), "restorekit_taks is no hook"),
    "wrapping": (hook("tasks()", "yield", "@hookimpl(wrapper=True)"), "wraps the others' answers"),
    "asking too much": (hook("tasks(app)", "return []"), "app"),
    "no tasks": (hook("tasks()", "pass"), "restorekit_tasks"),
    "exits when asked": (hook("tasks()", "import sys; sys.exit()"), "restorekit_tasks failed"),
    **{
        f"exits when asked for {kind}s": (
            hook(f"{kind}s()", "raise SystemExit('install more')"),
            f"restorekit_{kind}s failed, SystemExit: install more",
        )
        for kind in ("method", "sampler", "prior", "metric", "finder")
    },
    "imports what is not there": (hook("methods()", "import nowhere"), "ModuleNotFoundError"),
    "no methods": (hook("methods()", "pass"), "restorekit_methods: it gave None"),
    # What they offer by name.
    "no path": (hook("priors()", "return {'big': 3}"), "prior 'big' is 3"),
    "no function": (hook("methods()", "return {'m': 3}"), "method 'm' is 3, which is no function"),
    "no name": (hook("samplers()", "return {'a b': print}"), "named 'a b'"),
    "traits": (
        "def m(prior, y): return prior\nm.keeps_state = 'no'\n"
        + hook("methods()", "return {'m': m}"),
        "method 'm': its keeps_state is 'no'; give bool",
    ),
    "an option's default": (
        "def m(prior, y, *, eta: float = 'much'): return prior\n"
        + hook("methods()", "return {'m': m}"),
        "method 'm': default of eta: 'much' is not a valid number",
    ),
    "a benchmark's column": (hook("metrics()", "return {'seconds': max}"), "'seconds'"),
    # Tasks.
    "a class": (task("pass").replace("Bad()", "Bad"), "is not a Task"),
    "named None": (task("name = None"), "a task is named None"),
    "named as a command": (task("name = 'train'"), "'train' has the name of a command"),
    "named as a task": (task("name = 'denoise'"), "'denoise' is already taken"),
    "unspeakable": (
        task("name = 3\ndef __repr__(self): raise ValueError"),
        "a task is named 3",
    ),
    "no summary": (task("@property\ndef summary(self): 1 / 0"), "ZeroDivisionError"),
    "summary of bytes": (task("summary = b'x'"), "its summary is b'x'"),
    "no options": (task("@property\ndef options(self): raise SystemExit"), "SystemExit"),
    "no click": (task("options = ['--strength']"), "not one of click's options"),
    "--seed": (task("options = [click.Option(['--seed'])]"), "option --seed is already taken"),
    "-o": (task("options = [click.Option(['-o', '--odd'])]"), "option -o is already taken"),
    "output": (task("options = [click.Option(['--to', 'output'])]"), "option output is already"),
    "twice": (task("options = [click.Option(['--a']), click.Option(['--a'])]"), "--a is already"),
    "no help": (
        task(
            "class T(click.ParamType):\n"
            "    name = 'T'\n"
            "    def get_metavar(self, param, ctx): raise ValueError('no metavar')\n"
            "options = [click.Option(['--a'], type=T(), help='A.')]"
        ),
        "ValueError: no metavar",
    ),
    "takes no options": (
        task("options = [click.Option(['--a'])]\ndef observe(self, picture, *, b): pass"),
        "observe does not take its options",
    ),
    "observes nothing": (task("observe = Task.observe"), "does not define observe()"),
    "no mode": (task("recipes = {}"), "its recipes are for none"),
    "another mode": (task("recipes = {'fast': Wash.recipes['fidelity']}"), "for 'fast'"),
    "grid": (recipe("'none', 'ddim', 4, grid='square'"), "grid 'square' is none of uniform"),
    "steps": (recipe("'none', 'ddim', 0"), "steps is 0"),
    "start": (recipe("'none', 'ddim', 4, start=float('nan')"), "nan is no noise-to-signal ratio"),
    "low": (recipe("'none', 'ddim', 4, low={'step': 2}"), "its low or its unfolded is wrong"),
    "low steps": (recipe("'none', 'ddim', 4, low={'steps': 0}"), "steps is 0"),
    "unfolded": (
        recipe("'none', 'ddim', 4, unfolded={'method': 'nobodys'}"),
        "no plugin offers method 'nobodys'",
    ),
    "travel": (recipe("'none', 'ddim', 4, travel=(10, 0)"), "travel is (10, 0)"),
    "unknown method": (recipe("'nobodys', 'ddim', 4"), "no plugin offers method 'nobodys'"),
    "stage": (task("stage = 'late'"), "its stage is 'late'"),
}


@pytest.mark.parametrize(("code", "said"), BROKEN.values(), ids=BROKEN)
def test_broken(
    installed: Callable[..., Plugin], capfd: pytest.CaptureFixture[str], code: str, said: str
) -> None:
    assert said in installed(code).problem
    all_else_works(capfd)
    assert run("plugins") == 1
    (line,) = (x for x in capfd.readouterr().out.splitlines() if x.startswith("bad "))
    assert line.split()[:3] == ["bad", "bad", "2.5"]
    assert "BROKEN" in line and said in line
