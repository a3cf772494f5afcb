"""What a plugin may say. All of it is read once, when it is admitted, and checked here.

Everything raises RestorekitError with a sentence that says what is wrong. The rest of the program
relies on what has passed, and asks the plugin no more.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from pathlib import Path
from typing import Any

import click
from pluggy import HookImpl

from . import parameters
from .errors import RestorekitError
from .hookspecs import API
from .options import MOST_STEPS
from .task import GRIDS, MODES, Recipe, Task, Trial

NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")  # of what is typed on a command line, or in a chain


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Commands of ours, which no task may be called.
COMMANDS = words(
    "benchmark compare config contact diagnose evaluate help methods plugins priors restore run "
    "samplers train web"
)
# Options that other options cannot stand beside: of all that restores, of a task's command alone,
# and of `benchmark` alone.
SHARED = words(
    "-h --help --mode --method --sampler --steps --prior --seed --device --precision --ensemble "
    "--effort --tile --with --travel --debug --quiet"
)
RESTORING = words(
    "-o --output --preview --at --on-exists --quality --bit-depth --strip-metadata --provenance "
    "--no-provenance --max-megapixels --include --exclude --format --shard --dry-run "
    "--retry-failed --verify --engine --workers --report --html --samples"
)
TRYING = words("--luma --rgb --crop-border --metrics --json --save --html")
# What Python's functions call their own arguments, which options are beside.
ARGUMENTS = words(
    "alpha clean expected folder image inputs json_file name options overwrite page picture pixels "
    "progress sample_number self source suffix task tuning whole window"
)
# Columns of a benchmark that no metric may be called.
COLUMNS = words("name mean seconds megapixels seconds_per_megapixel hole_psnr")
BASELINE = "baseline_"  # before the name of a metric: the baseline's


def check_requirements(lines: Iterable[str], ours: str) -> None:
    """Whether a distribution that requires this works with our version of restorekit.

    What it requires under a condition, as for an extra, is pip's business.
    """
    for line in lines:
        found = re.fullmatch(r"restorekit\s*(?:\[[^]]*\])?\s*\(?([^;()]*)\)?", line.strip(), re.I)
        if found and found[1].strip():
            from packaging.specifiers import SpecifierSet

            if not SpecifierSet(found[1]).contains(ours, prereleases=True):
                raise RestorekitError(
                    f"it needs restorekit {found[1].strip()}, and this is {ours}; "
                    "install versions that fit"
                )


def check_api(module: Any) -> None:
    """Whether a module that says which API it was written for (`restorekit_api`) may be used."""
    said = getattr(module, "restorekit_api", API)
    works = said if isinstance(said, tuple | list | set | frozenset) else [said]
    if API not in works:
        raise RestorekitError(
            f"it was written for version {said} of the plugin API, and this restorekit has "
            f"{API}; install versions that fit"
        )


def check_marked(module: Any, known: Set[str]) -> None:
    """Whether functions that are called as hooks are, have their decorator."""
    for name in known & set(dir(module)):
        value = inspect.getattr_static(module, name)
        marked = hasattr(value, "restorekit_impl") or hasattr(value, "restorekit_spec")
        if inspect.isroutine(value) and not marked:
            raise RestorekitError(f"{name} lacks its decorator @hookimpl, and is never asked")


def check_hooks(hooks: Mapping[str, HookImpl], known: Collection[str]) -> None:
    """Whether what a module implements, by the hook's name, will be asked and may answer."""
    if not hooks:
        raise RestorekitError("it implements no hook, and offers nothing")
    for name, implementation in hooks.items():
        if name not in known and not implementation.optionalhook:
            raise RestorekitError(f"{name} is no hook; there are {', '.join(sorted(known))}")
        if implementation.wrapper or implementation.hookwrapper:
            raise RestorekitError(f"{name} wraps the others' answers; it may only give its own")


# --- Tasks ---------------------------------------------------------------------------------------

SIMPLE: dict[str, tuple[type, ...]] = {
    "summary": (str,),
    "takes_photo": (bool,),
    "prior": (str,),
    "trial": (Trial, type(None)),
    "stage": (int, float),
}


def admitted(given: Any) -> Task:
    """A task as it is now: what it says of itself is read once, what it does stays its own."""
    if not isinstance(given, Task):
        raise RestorekitError(f"{given!r} is not a Task; give an instance of a subclass")
    name = given.name
    check_name("a task", name)
    if name in COMMANDS:
        raise RestorekitError(f"task {name!r} has the name of a command of restorekit's own")
    task = Task()
    for attribute in {*vars(Task), *Task.__annotations__}:
        if not attribute.startswith("_"):
            setattr(task, attribute, getattr(given, attribute))
    task.name = name
    for attribute, types in SIMPLE.items():
        if not isinstance(value := getattr(task, attribute), types):
            raise RestorekitError(f"task {name!r}: its {attribute} is {value!r}")
    task.options = tuple(task.options)
    task.recipes = dict(task.recipes)
    check_options(f"task {name!r}", task.options, SHARED | RESTORING | TRYING)
    if task.trial is not None:
        tried = *task.options, *task.trial.options
        check_options(f"the trial of task {name!r}", tried, SHARED | TRYING)
    check_recipes(f"task {name!r}", task.recipes)
    if getattr(given.observe, "__func__", None) is Task.observe:
        raise RestorekitError(f"task {name!r} does not define observe()")
    check_takes(f"task {name!r}: observe", given.observe, [o.name or "" for o in task.options])
    return task


def check_name(what: str, name: Any) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise RestorekitError(f"{what} is named {name!r}; use letters, digits, - and _")


def check_options(whose: str, options: Iterable[Any], taken: Collection[str]) -> None:
    """Whether they can stand beside those that are there already, and be shown."""
    flags = set(taken)
    names = {flag.lstrip("-").replace("-", "_") for flag in taken} | ARGUMENTS
    for option in options:
        if not isinstance(option, click.Option) or not option.name:
            raise RestorekitError(f"{whose}: {option!r} is not one of click's options")
        declared = {*option.opts, *option.secondary_opts}
        if clash := sorted(declared & flags) or [option.name] * (option.name in names):
            raise RestorekitError(f"{whose}: the option {clash[0]} is already taken")
        flags |= declared
        names.add(option.name)
        option.get_help_record(click.Context(click.Command(whose)))


def check_recipes(whose: str, recipes: Mapping[Any, Any]) -> None:
    """Whether there is one at least, and each can be followed."""
    if not recipes or not set(recipes) <= set(MODES):
        said = ", ".join(map(repr, recipes)) or "none"
        raise RestorekitError(f"{whose}: its recipes are for {said}; use {' and '.join(MODES)}")
    for mode, recipe in recipes.items():
        here = f"{whose}: its recipe for {mode}"
        if not isinstance(recipe, Recipe):
            raise RestorekitError(f"{here} is {recipe!r}, no Recipe")
        try:
            kinds = recipe, recipe.with_less(), recipe.for_prior((1.0,))
        except TypeError as error:  # says which field there is none of
            raise RestorekitError(f"{here}: its low or its unfolded is wrong: {error}") from error
        for one in kinds:
            check_recipe(here, one)
            if one.refines and getattr(recipes.get(one.refines), "refines", "nothing"):
                raise RestorekitError(
                    f"{here} refines {one.refines!r}; give a mode that refines none"
                )


def check_recipe(here: str, recipe: Recipe) -> None:
    """Whether it can be followed, as far as numbers go."""
    check_name(f"{here}: its method", recipe.method)
    check_name(f"{here}: its sampler", recipe.sampler)
    if recipe.grid not in GRIDS:
        raise RestorekitError(f"{here}: grid {recipe.grid!r} is none of {', '.join(GRIDS)}")
    if not (type(recipe.steps) is int and 1 <= recipe.steps <= MOST_STEPS):
        raise RestorekitError(f"{here}: steps is {recipe.steps!r}; give 1 to {MOST_STEPS}")
    for level in (recipe.end, 1.0 if recipe.start is None else recipe.start):
        if not (isinstance(level, int | float) and 0 <= level < math.inf):
            raise RestorekitError(f"{here}: {level!r} is no noise-to-signal ratio")
    levels = recipe.levels
    if any(level <= 0 for level in levels) or list(levels) != sorted(set(levels))[::-1]:
        raise RestorekitError(f"{here}: levels are {levels!r}; give falling ratios above 0")
    travel = recipe.travel
    if travel is not None and not (
        len(travel) == 2 and all(type(n) is int and n > 0 for n in travel)
    ):
        raise RestorekitError(f"{here}: travel is {travel!r}; give (length, repeats)")


def check_takes(what: str, function: Callable[..., Any], names: Iterable[str]) -> None:
    """Whether a function takes a picture, and options by these names."""
    try:
        inspect.signature(function).bind(None, **dict.fromkeys(names))
    except TypeError as error:
        raise RestorekitError(f"{what} does not take its options: {error}") from error


# --- Everything else, by name --------------------------------------------------------------------


def offers(kind: str, answer: Any) -> dict[str, Any]:
    """What a hook answered: a mapping of names to things of a kind."""
    if not isinstance(answer, Mapping):
        raise RestorekitError(f"it gave {answer!r}, not a mapping of names")
    found = dict(answer)
    for name, thing in found.items():
        check_name(f"a {kind}", name)
        if kind == "metric" and (name in COLUMNS or name.startswith(BASELINE)):
            raise RestorekitError(f"metric {name!r} has the name of a column of benchmark's own")
        CHECKS[kind](f"{kind} {name!r}", thing)
        if kind == "prior" and not isinstance(thing, Path) and thing.name != name:
            # Records and messages name it as whoever asks for it does.
            found[name] = dataclasses.replace(thing, name=name)
    return found


def check_callable(what: str, thing: Any) -> None:
    if not callable(thing):
        raise RestorekitError(f"{what} is {thing!r}, which is no function")


def check_method(what: str, thing: Any) -> None:
    from .engine.declared import MethodTraits, of_method

    check_callable(what, thing)
    check_declared(what, thing, of_method(thing), MethodTraits())


def check_sampler(what: str, thing: Any) -> None:
    from .engine.declared import StepTraits, of_step

    check_callable(what, thing)
    check_declared(what, thing, of_step(thing), StepTraits())


def check_declared(what: str, function: Callable[..., Any], said: Any, usual: Any) -> None:
    """Whether a function's traits are of the usual types, and its options' defaults are values."""
    for trait, value in vars(usual).items():
        if type(own := getattr(said, trait)) is not type(value):
            raise RestorekitError(f"{what}: its {trait} is {own!r}; give {type(value).__name__}")
    for option in parameters.of(function).values():
        try:
            option.value(option.default)
        except click.BadParameter as error:
            raise RestorekitError(f"{what}: default of {option.name}: {error.message}") from error


def check_prior(what: str, thing: Any) -> None:
    from .priors import Prior

    if not isinstance(thing, Path | Prior):
        raise RestorekitError(f"{what} is {thing!r}, neither a pathlib.Path nor a Prior")


CHECKS: dict[str, Callable[[str, Any], None]] = {
    "method": check_method,
    "sampler": check_sampler,
    "prior": check_prior,
    "metric": check_callable,
    "finder": check_callable,
}
KINDS = ("task", *CHECKS)  # of what plugins offer; the hook restorekit_KINDs has it
