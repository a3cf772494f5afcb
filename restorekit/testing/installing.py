"""A plugin that is there for a test alone."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from unittest import mock

from .. import plugins
from ..distributions import GROUP


@contextlib.contextmanager
def installed(*modules: ModuleType) -> Iterator[plugins.Registry]:
    """Plugins that are installed while the block runs, beside those of the environment.

    Where their packages are installed too, what the environment has of these is left out.

    As a fixture of pytest:

        @pytest.fixture(autouse=True)
        def mine():
            with installed(my_package):
                yield

    Args:
        modules: with hooks, as entry points name them.

    Raises:
        AssertionError: if one of them is broken; the message says why.
    """
    names = {module.__name__: module for module in modules}
    packages = {top_of(name) for name in names}
    others = [p for p in entry_points(group=GROUP) if top_of(p.value) not in packages]
    mine = [EntryPoint(name, name, GROUP) for name in names]
    with mock.patch.dict(sys.modules, names):
        found = plugins.Registry([*others, *mine])
        for plugin in found.plugins:
            if plugin.name in names:
                assert not plugin.problem, f"plugin {plugin.name}: {plugin.problem}"
        with mock.patch.object(plugins, "registry", lambda: found):
            yield found


def top_of(module: str) -> str:
    """The package that a module, or what an entry point names, is within."""
    return re.split(r"[.:\s]", module, maxsplit=1)[0]
