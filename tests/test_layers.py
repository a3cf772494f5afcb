"""What plugins import: the public names alone, and never each other; whichever there are."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parent.parent / "plugins"
NAMES = sorted(path.name for path in PLUGINS.iterdir() if (path / "__init__.py").exists())
WITHIN = (  # of restorekit: what stands above the tasks
    *("api", "benchmark", "builtin", "chain", "chain_text", "cli", "diagnosis", "evaluation"),
    *("folder", "loading", "plugins", "preview", "restorer", "soundness", "training", "watching"),
)
PRIVATE = {f"restorekit.{name}" for name in WITHIN}


def imported(text: str) -> Iterator[str]:
    """Every module, and every name of one, that a module's text imports, wherever it does."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def forbidden(text: str, plugin: str) -> set[str]:
    others = {*NAMES} - {plugin}
    return {
        name
        for name in imported(text)
        if name.partition(".")[0] in others
        or any(f"{name}.".startswith(f"{private}.") for private in PRIVATE)
    }


@pytest.mark.parametrize("plugin", NAMES)
def test_plugins_import_the_public_names_alone(plugin: str) -> None:
    for module in (PLUGINS / plugin).rglob("*.py"):
        assert not forbidden(module.read_text(), plugin), module


def test_what_is_forbidden_is_found() -> None:
    text = "def f():\n    from restorekit import plugins\nimport restorekit_inpaint.masks\n"
    assert forbidden(text, "restorekit_fade") == {"restorekit.plugins", "restorekit_inpaint.masks"}
    assert not forbidden("import restorekit_fade.density, restorekit.task", "restorekit_fade")
