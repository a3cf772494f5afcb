"""What docs/stability.md promises is there, and is all that our examples use."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import restorekit
from restorekit import hookspecs

ROOT = Path(__file__).parent.parent
ROWS = re.findall(r"^\| `([\w.]+)` \| (.*) \|$", (ROOT / "docs/stability.md").read_text(), re.M)
PROMISED = {module: set(re.findall(r"`(\w+)`", names)) - {"__all__"} for module, names in ROWS}
PROMISED["restorekit.testing"] = set(importlib.import_module("restorekit.testing").__all__)


@pytest.mark.parametrize("module", PROMISED)
def test_public_names_exist_and_are_described(module: str) -> None:
    found = importlib.import_module(module)
    for name in PROMISED[module]:
        thing = getattr(found, name)
        own = isinstance(thing, type) or inspect.isroutine(thing)  # else a type alias, or a value
        assert thing.__doc__ or not own, f"{module}.{name} has no docstring"


def test_the_top_level_is_all_public() -> None:
    assert set(restorekit.__all__) == PROMISED["restorekit"]
    assert restorekit.__api__ == hookspecs.API == 1


def used(path: Path) -> set[tuple[str, str]]:
    """(module, name) of all that a file imports from restorekit."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.ImportFrom)
            and (node.module or "").partition(".")[0] == "restorekit"
        ):
            found |= {(node.module or "", alias.name) for alias in node.names}
    return found


EXAMPLES = sorted([*ROOT.glob("docs/examples/**/*.py"), *ROOT.glob("tests/thirdparty/*.py")])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_use_what_is_promised(path: Path) -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("restorekit_")}
    for module, name in used(path):
        modules = f"{module}.{name}" in PROMISED  # from restorekit import images
        assert modules or name in PROMISED.get(module, set()) | hooks, f"{module}.{name}"
