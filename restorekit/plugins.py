"""Finds plugins, keeps a broken one from hurting the others, and looks things up in them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import pluggy

from . import hookspecs
from .errors import RestorekitError

if TYPE_CHECKING:
    from .task import Task

GROUP = "restorekit"


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
        for point in sorted(points, key=lambda p: (p.name != "builtin", p.name)):
            self.plugins.append(self._admit(point))

    def _admit(self, point: EntryPoint) -> Plugin:
        package = point.dist.name if point.dist else "?"
        version = point.dist.version if point.dist else "?"
        try:
            module = point.load()
            self._manager.register(module, name=point.name)
            self._manager.check_pending()
            callers = self._manager.get_hookcallers(module) or []
            tasks = self._tasks_of(module, point.name)
        except Exception as error:  # whatever a stranger's package does, the others must work
            if self._manager.has_plugin(point.name):
                self._manager.unregister(name=point.name)
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            return Plugin(point.name, package, version, problem=reason)
        self.tasks.update(tasks)
        hooks = tuple(sorted(caller.name for caller in callers))
        return Plugin(point.name, package, version, hooks, tuple(tasks))

    def _tasks_of(self, module: Any, name: str) -> dict[str, Task]:
        others = [p for p in self._manager.get_plugins() if p is not module]
        hook = self._manager.subset_hook_caller("restorekit_tasks", others)
        found: dict[str, Task] = {}
        for task in (task for tasks in hook() for task in tasks):
            if task.name in self.tasks or task.name in found:
                raise RestorekitError(f"task {task.name!r} is already taken")
            found[task.name] = task
        return found

    def _mapping(self, hook: str) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for mapping in reversed(getattr(self._manager.hook, hook)()):  # first registered first
            merged = dict(mapping) | merged
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

    def task(self, name: str) -> Task:
        """A task by its name. Raises RestorekitError if no plugin offers it."""
        if name not in self.tasks:
            known = ", ".join(sorted(self.tasks)) or "none is installed"
            raise RestorekitError(f"task {name!r} is unknown; use {known}")
        return self.tasks[name]


@functools.cache
def registry() -> Registry:
    """The plugins of this environment, found once."""
    return Registry(list(entry_points(group=GROUP)))
