"""Shared by all tests: one thread, which is fastest for small pictures, and the samples."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import signal
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from .browser import launched

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["RESTOREKIT_CONFIG"] = ""  # whoever runs the tests may have defaults of their own
os.environ["RESTOREKIT_DATA"] = ""  # and priors

# Commands that are started in the background ignore Ctrl-C, and so would those that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

SAMPLES = Path(__file__).parent.parent / "samples"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, so that commands read as a user types them."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The one that a module's pages are opened in; not the session's, for its event loop is in
    the way of others while it is there."""
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(launched())
        except LookupError as missing:
            pytest.skip(str(missing))
        yield opened


class Install(Protocol):
    """Installs modules by name, after our own: those of a name, or ones with these hooks."""

    def __call__(self, **modules: str | Mapping[str, Any]) -> None: ...


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """A registry of the core, and what a test adds to it."""
    from restorekit import plugins

    def install(**modules: str | Mapping[str, Any]) -> None:
        points = [importlib.metadata.EntryPoint("builtin", "restorekit.builtin", "restorekit")]
        for name, given in modules.items():
            if not isinstance(given, str):
                module = types.ModuleType(f"plugin_{name}")
                vars(module).update(given)
                monkeypatch.setitem(sys.modules, module.__name__, module)
                given = module.__name__
            points.append(importlib.metadata.EntryPoint(name, given, "restorekit"))
        registry = plugins.Registry(points)
        monkeypatch.setattr(plugins, "registry", lambda: registry)

    return install
