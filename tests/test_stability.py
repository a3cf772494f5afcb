"""What docs/stability.md promises is there, and is all that our examples use."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from string import Template

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


def used(code: str) -> set[tuple[str, str]]:
    """(module, name) of all that code imports from restorekit."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            found |= {(node.module or "", alias.name) for alias in node.names}
        if isinstance(node, ast.Import):
            found |= {alias.name.rpartition(".")[::2] for alias in node.names}
    return {(m, name) for m, name in found if (m or name).partition(".")[0] == "restorekit"}


def examples() -> Iterator[tuple[str, str]]:
    """All code that is there for plugin authors to start from: where it is, and the code."""
    for path in sorted([*ROOT.glob("docs/examples/**/*.py"), *ROOT.glob("tests/thirdparty/*.py")]):
        yield path.stem, path.read_text()
    for page in sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")]):
        for number, code in enumerate(re.findall(r"```python.*\n([^`]*)```", page.read_text())):
            yield f"{page.name}-{number}", code
    names = {"name": "x", "kind": "x", "package": "x", "function": "x", "class_name": "X"}
    for path in sorted(ROOT.glob("restorekit/scaffold/templates/*/*.py.tmpl")):
        yield f"{path.parent.name}-{path.name}", Template(path.read_text()).substitute(names)


EXAMPLES = dict(examples())


@pytest.mark.parametrize("code", EXAMPLES.values(), ids=EXAMPLES)
def test_examples_use_what_is_promised(code: str) -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("restorekit_")}
    for module, name in used(code):
        modules = f"{module}.{name}".strip(".") in PROMISED  # from restorekit import images
        assert modules or name in PROMISED.get(module, set()) | hooks, f"{module}.{name}"


def test_what_the_hooks_reference_tells_of_is_promised() -> None:
    page = (ROOT / "docs/hooks.md").read_text()
    told = re.findall(r"^### `(restorekit\.[\w.]+)\.(\w+)`$", page, re.MULTILINE)
    assert len(told) > 20
    for module, name in told:
        assert name in PROMISED[module], f"{module}.{name}"
