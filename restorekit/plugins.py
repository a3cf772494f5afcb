"""Finds plugins, keeps a broken one from hurting the others, and looks things up in them."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy
from click import Option

from . import hookspecs
from .errors import RestorekitError
from .task import Task

if TYPE_CHECKING:
    from .priors import Prior

GROUP = "restorekit"  # of entry points; our own package's name, too
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plugin:
    """An installed plugin: its entry point's name, its package and version, and what it gives.

    `problem` says why it could not be used; it is empty for a sound plugin.
    """

    name: str
    package: str
    version: str
    hooks: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    problem: str = ""


class Registry:
    """All plugins of the environment, and what they offer."""

    def __init__(self, points: list[EntryPoint]) -> None:
        self.plugins: list[Plugin] = []
        self.tasks: dict[str, Task] = {}
        self._manager = pluggy.PluginManager("restorekit")
        self._manager.add_hookspecs(hookspecs)
        # Ours first: the first to claim a name keeps it.
        for point in sorted(points, key=lambda p: (package_of(p) != GROUP, p.name, package_of(p))):
            self.plugins.append(self._admit(point))

    def _admit(self, point: EntryPoint) -> Plugin:
        package, version = about(point.dist)
        name = f"{point.name} of {package}"  # two packages may use the same entry point's name
        try:
            module = point.load()
            self._manager.register(module, name=name)
            self._manager.check_pending()
            callers = self._manager.get_hookcallers(module) or []
            tasks = self._tasks_of(module)
        except (Exception, SystemExit) as error:  # whatever a stranger does, the others must work
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            return Plugin(point.name, package, version, problem=reason(error))
        self.tasks.update(tasks)
        hooks = tuple(sorted(caller.name for caller in callers))
        return Plugin(point.name, package, version, hooks, tuple(tasks))

    def _answers(self, hook: str, module: Any, **arguments: Any) -> Any:
        """What one plugin alone says to a hook: a list, or its only answer."""
        others = [p for p in self._manager.get_plugins() if p is not module]
        return self._manager.subset_hook_caller(hook, others)(**arguments)

    def _tasks_of(self, module: Any) -> dict[str, Task]:
        found: dict[str, Task] = {}
        for task in (task for tasks in self._answers("restorekit_tasks", module) for task in tasks):
            if not isinstance(task, Task) or not all(isinstance(o, Option) for o in task.options):
                raise RestorekitError(f"{task!r} is not a Task with click options")
            if task.name in self.tasks or task.name in found:
                raise RestorekitError(f"task {task.name!r} is already taken")
            found[task.name] = task
        return found

    def _mapping(self, hook: str) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for name, module in self._manager.list_name_plugin():  # as registered
            try:
                for mapping in self._answers(hook, module):
                    merged = dict(mapping) | merged
            except Exception as error:
                log.warning("plugin %s: %s is left out, %s", name, hook, reason(error))
        return merged

    def find(self, kind: str, name: str) -> Any:
        """A method, sampler or prior by its name.

        Args:
            kind: "method", "sampler", "prior" or "metric".

        Raises:
            RestorekitError: if no plugin offers it; the message lists what there is.
        """
        offered = self.offered(kind)
        if name not in offered:
            raise RestorekitError(f"{kind} {name!r} is unknown; use {', '.join(sorted(offered))}")
        return offered[name]

    def offered(self, kind: str) -> dict[str, Any]:
        """Everything of a kind, by name. The first plugin to claim a name keeps it."""
        return self._mapping(f"restorekit_{kind}s")

    def open_prior(self, path: Path) -> Prior:
        """What lies at a path, by the first plugin that knows it.

        Raises:
            RestorekitError: if none does; with the reason, if one says what is wrong with it.
        """
        from .priors import Prior
        from .priors.weights import REMEDY

        wrong: RestorekitError | None = None
        for name, module in self._manager.list_name_plugin():
            try:
                found = self._answers("restorekit_open_prior", module, path=path)
                if found is not None and not isinstance(found, Prior):
                    raise TypeError(f"{found!r} is not a Prior")
            except RestorekitError as error:  # another may know better
                wrong = error
            except (Exception, SystemExit) as error:
                log.warning("plugin %s: cannot open %s, %s", name, path, reason(error))
            else:
                if found is not None:
                    return found
        raise wrong or RestorekitError(
            f"{path}: not a prior of any kind known here; {REMEDY}, or what a plugin opens"
        )

    @property
    def versions(self) -> list[str]:
        """Of all packages with plugins."""
        return sorted({f"{p.package} {p.version}" for p in self.plugins if not p.problem})

    def version_of(self, task: str) -> str:
        """The package that a task comes from, and its version."""
        found = (p for p in self.plugins if task in p.tasks)
        return next((f"{p.package} {p.version}" for p in found), "")

    def task(self, name: str) -> Task:
        """A task by its name. Raises RestorekitError if no plugin offers it."""
        if name not in self.tasks:
            known = ", ".join(sorted(self.tasks)) or "none is installed"
            raise RestorekitError(f"task {name!r} is unknown; use {known}")
        return self.tasks[name]


def package_of(point: EntryPoint) -> str:
    """The name of the package that an entry point came with."""
    return about(point.dist)[0]


@functools.cache  # as a package has several entry points, and its description may be long
def about(package: Distribution | None) -> tuple[str, str]:
    """A package's name and version."""
    if package is None:
        return "?", "?"
    metadata = package.metadata
    return metadata["Name"], metadata["Version"]


def reason(error: BaseException) -> str:
    """What happened, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


@functools.cache
def registry() -> Registry:
    """The plugins of this environment, found once."""
    return Registry(list(entry_points(group=GROUP)))
