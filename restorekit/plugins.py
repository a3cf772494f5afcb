"""Finds plugins, keeps a broken one from hurting the others, and looks things up in them."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from . import admission, hookspecs
from .distributions import GROUP, VARIABLE, Package, about, chosen, own_version, package_of
from .errors import RestorekitError
from .guard import guarded, reason
from .task import Task

if TYPE_CHECKING:
    from .priors import Prior

SLOW = 3.0  # seconds of a command that a plugin may take without being named
log = logging.getLogger(__name__)


@dataclass(eq=False)
class Plugin:
    """An installed plugin, and what it gives.

    Attributes:
        name: its entry point's.
        package, version: the distribution that it came with.
        module: that the entry point names.
        hooks: what it implements, by name.
        offers: what it offers of each of `admission.KINDS` that it has been asked for, by name.
        problem: why it could not be used, or a part of it; empty for a sound plugin.
        notes: what of it is left out, though nothing is wrong with it.
        seconds: that it took to import it and to ask it.
    """

    name: str
    package: str
    version: str
    module: str = ""
    hooks: dict[str, Callable[..., Any]] = field(default_factory=dict)
    offers: dict[str, dict[str, Any]] = field(default_factory=dict)
    problem: str = ""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        """As messages name it."""
        known = self.package != Package().name
        return f"plugin {self.package} {self.version}" if known else f"plugin {self.name}"

    @property
    def ours(self) -> bool:
        return self.package == GROUP


class Registry:
    """All plugins of the environment, and what they offer.

    Tasks are read at once, the rest when it is first asked for, as that may import torch.
    """

    def __init__(self, points: Sequence[EntryPoint]) -> None:
        self.plugins: list[Plugin] = []
        self.tasks: dict[str, Task] = {}
        self._offered: dict[str, dict[str, Any]] = {}
        self._asking = threading.RLock()
        self._manager = pluggy.PluginManager("restorekit")
        self._manager.add_hookspecs(hookspecs)
        self._known = {hook for hook in vars(hookspecs) if hook.startswith("restorekit_")}
        # Ours first: the first to claim a name keeps it.
        for point in sorted(points, key=lambda p: (package_of(p) != GROUP, p.name, package_of(p))):
            package = about(point.dist)
            plugin = Plugin(point.name, package.name, package.version)
            if package == Package():
                plugin.notes.append("its package's metadata cannot be read; install it again")
            self.plugins.append(plugin)
            self._admit(plugin, point)

    def _admit(self, plugin: Plugin, point: EntryPoint) -> None:
        try:
            with timed(plugin):
                with guarded("its metadata"):
                    plugin.module = point.module
                    if not plugin.ours:
                        admission.check_requirements(about(point.dist).requires, own_version())
                with guarded("import"):
                    module = point.load()
                plugin.hooks = self._hooks_of(module, f"{point.name} of {plugin.package}")
                self.tasks.update(self._asked(plugin, "task"))
        except RestorekitError as error:  # whatever a stranger does, the others must work
            plugin.problem, plugin.hooks, plugin.offers = str(error), {}, {}

    def _hooks_of(self, module: Any, name: str) -> dict[str, Callable[..., Any]]:
        """What a module implements, by the hook's name."""
        with guarded(getattr(module, "__name__", name)):
            admission.check_api(module)
            admission.check_marked(module, self._known)
            try:
                self._manager.register(module, name=name)
                hooks = {
                    caller.name: implementation
                    for caller in self._manager.get_hookcallers(module) or ()
                    for implementation in caller.get_hookimpls()
                    if implementation.plugin is module
                }
                admission.check_hooks(hooks, self._known)
            except Exception:
                if self._manager.has_plugin(name):
                    self._manager.unregister(name=name)
                raise
            return {hook: partial(self._answer, hooks[hook]) for hook in hooks.keys() & self._known}

    @staticmethod
    def _answer(implementation: pluggy.HookImpl, **arguments: Any) -> Any:
        """What one plugin alone says to a hook; None is no answer, which pluggy would drop."""
        return implementation.function(*(arguments[name] for name in implementation.argnames))

    def _asked(self, plugin: Plugin, kind: str) -> dict[str, Any]:
        """What a plugin offers of a kind, asked once. Raises RestorekitError where it is broken."""
        hook = f"restorekit_{kind}s"
        if hook in plugin.hooks and kind not in plugin.offers:
            plugin.offers[kind] = {}
            with guarded(hook):
                answer = plugin.hooks[hook]()
                read = self._tasks_of if kind == "task" else partial(admission.offers, kind)
                plugin.offers[kind] = read(answer)
        return plugin.offers.get(kind, {})

    def _tasks_of(self, answer: Any) -> dict[str, Task]:
        found: dict[str, Task] = {}
        for given in answer:
            task = admission.admitted(given)
            if task.name in self.tasks or task.name in found:
                by = "itself" if task.name in found else self.owner("task", task.name)
                raise RestorekitError(f"task {task.name!r} is already taken, by {by}")
            found[task.name] = task
        return found

    def _gathered(self, kind: str) -> dict[str, Any]:
        """All that is offered of a kind. Who cannot say is told of, and left out."""
        merged: dict[str, Any] = {}
        owners: dict[str, Plugin] = {}
        for plugin in self.plugins:
            try:
                with timed(plugin):
                    offered = self._asked(plugin, kind)
            except RestorekitError as error:
                plugin.problem = plugin.problem or str(error)
                log.warning("%s: %s; what it offers there is left out", plugin, error)
                continue
            for name, thing in offered.items():
                if name in merged:
                    note = (
                        f"its {kind} {name!r} is left out, as {owners[name]} has one of that name"
                    )
                    plugin.notes.append(note)
                    log.warning("%s: %s", plugin, note)
                else:
                    merged[name], owners[name] = thing, plugin
        return merged

    def offered(self, kind: str) -> dict[str, Any]:
        """Everything of a kind, by name. The first plugin to claim a name keeps it.

        Args:
            kind: one of `admission.KINDS`.
        """
        with self._asking:
            if kind not in self._offered:
                self._offered[kind] = self.tasks if kind == "task" else self._gathered(kind)
            return self._offered[kind]

    def find(self, kind: str, name: str) -> Any:
        """A task, method, sampler, prior or metric by its name.

        Raises:
            RestorekitError: if no plugin offers it; the message lists what there is.
        """
        offered = self.offered(kind)
        if name not in offered:
            known = ", ".join(sorted(offered)) or "none is installed"
            raise RestorekitError(f"{kind} {name!r} is unknown; use {known}{self.hint(name)}")
        return offered[name]

    def open_prior(self, path: Path) -> Prior:
        """What lies at a path, by the first plugin that knows it.

        Raises:
            RestorekitError: if none does; with the reason, if one says what is wrong with it.
        """
        from .priors import Prior
        from .priors.weights import REMEDY

        hook, wrong = "restorekit_open_prior", None
        for plugin in (plugin for plugin in self.plugins if hook in plugin.hooks):
            try:
                with guarded(hook):
                    found = plugin.hooks[hook](path=path)
                    if found is not None and not isinstance(found, Prior):
                        raise TypeError(f"{found!r} is not a Prior")
            except RestorekitError as error:
                if isinstance(error.__cause__, RestorekitError):  # another may know better
                    wrong = error.__cause__
                else:
                    log.warning("%s: cannot open %s, %s", plugin, path, error)
            else:
                if found is not None:
                    return found
        raise wrong or RestorekitError(
            f"{path}: not a prior of any kind known here; {REMEDY}, or what a plugin opens"
        )

    def owner(self, kind: str, name: str) -> Plugin | None:
        """Whose it is, of what has been asked for."""
        return next((p for p in self.plugins if name in p.offers.get(kind, {})), None)

    def task(self, name: str) -> Task:
        """A task by its name. Raises RestorekitError if no plugin offers it."""
        found: Task = self.find("task", name)
        return found

    def hint(self, name: str) -> str:
        """What may be the reason that a name is unknown: broken plugins, of that name if any is."""
        broken = [p for p in self.plugins if p.problem]
        likely = [p for p in broken if name in (p.name, p.package)] or broken
        packages = sorted({p.package for p in likely})
        are = "are" if len(packages) > 1 else "is"
        return f" ({', '.join(packages)} {are} broken, see `restorekit plugins`)" if broken else ""

    def examined(self) -> list[Plugin]:
        """All plugins, asked for everything, so that their health is known."""
        for kind in admission.KINDS:
            self.offered(kind)
        for plugin in self.plugins:
            for task in plugin.offers.get("task", {}).values():
                for mode, recipe in task.recipes.items():
                    for kind, name in recipe.names:
                        if name not in self.offered(kind):
                            what = f"task {task.name!r}, {mode}: no plugin offers {kind} {name!r}"
                            plugin.problem = plugin.problem or what
        return self.plugins

    @property
    def versions(self) -> list[str]:
        """Of all packages with plugins."""
        return sorted({f"{p.package} {p.version}" for p in self.plugins if p.hooks})

    def blamed(self, error: BaseException) -> str:
        """Which plugin's code failed, and how; empty where none but our own was running."""
        import traceback  # slow to import

        frames = list(traceback.walk_tb(error.__traceback__))
        owners = [self.author(frame.f_globals.get("__name__", "")) for frame, _ in frames]
        culprit = next((owner for owner in reversed(owners) if owner), None)
        if culprit is None:
            return ""
        entered = frames[owners.index(culprit)][0].f_code.co_name
        frame, line = next(f for f, o in zip(frames[::-1], owners[::-1], strict=True) if o)
        where = f"{Path(frame.f_code.co_filename).name}, line {line}"
        return f"{culprit}: {entered} failed, {reason(error)} ({where})"

    def author(self, module: str) -> Plugin | None:
        """The stranger whose module it is, or is within the same package."""
        top = module.partition(".")[0]
        strangers = (p for p in self.plugins if not p.ours and top != GROUP)
        return next((p for p in strangers if p.module.partition(".")[0] == top), None)


@contextlib.contextmanager
def timed(plugin: Plugin) -> Iterator[None]:
    """Adds to the time that a plugin took, and tells of it where a user will have waited."""
    began = time.perf_counter()
    try:
        yield
    finally:
        before, plugin.seconds = plugin.seconds, plugin.seconds + time.perf_counter() - began
        if before < SLOW <= plugin.seconds and not plugin.ours:
            log.warning(
                "%s took %.1f seconds to load; %s can leave it out",
                plugin,
                plugin.seconds,
                VARIABLE,
            )


@contextlib.contextmanager
def named(*passed: type[BaseException]) -> Iterator[None]:
    """Makes what a plugin's code raises within, sys.exit too, a RestorekitError that names it.

    Args:
        passed: what is no failure.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        if isinstance(error, (RestorekitError, *passed)):
            raise
        if said := registry().blamed(error):
            raise RestorekitError(said) from error
        raise


def kept_out() -> set[str]:
    """What is installed and not let in, by the names of its entry points and packages."""
    points = entry_points(group=GROUP)
    inside = {name for plugin in registry().plugins for name in (plugin.name, plugin.package)}
    return {name for point in points for name in (point.name, package_of(point))} - inside


@functools.cache
def registry() -> Registry:
    """The plugins of this environment, found once."""
    return Registry(chosen(list(entry_points(group=GROUP)), os.environ.get(VARIABLE)))
