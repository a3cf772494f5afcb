"""Packages to start from: a plugin that works, with tests that pass, for somebody to change."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from pathlib import Path
from string import Template

from ..errors import RestorekitError
from ..files import write

KINDS = ("task", "method", "sampler", "prior", "metric")
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 40
SUFFIX = ".tmpl"


def new_package(name: str, kind: str, folder: Path) -> list[Path]:
    """Writes a package into a folder that it makes.

    Args:
        name: of what it offers: small letters, digits and hyphens.
        kind: one of KINDS.
        folder: which must not be there.

    Returns:
        The files, in the order of their names.

    Raises:
        RestorekitError: for a name that cannot be one, or a folder that is there or cannot be made.
    """
    check(name)
    names = {
        "name": name,
        "kind": kind,
        "package": f"restorekit_{name.replace('-', '_')}",
        "function": name.replace("-", "_"),
        "class_name": name.title().replace("-", ""),
    }
    texts = {
        target(file.name, names["package"], name): Template(file.read_text("utf-8"))
        for source in ("common", kind)
        for file in files(__package__).joinpath("templates", source).iterdir()
        if file.name.endswith(SUFFIX)
    }
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise RestorekitError(f"{folder}: is there already; name another with -o") from None
    except OSError as error:
        raise RestorekitError(f"{folder}: cannot be made ({error.strerror})") from error
    written = []
    for place, text in sorted(texts.items()):
        path = folder / place
        path.parent.mkdir(exist_ok=True)
        write(path, text.substitute(names))
        written.append(path)
    return written


def check(name: str) -> None:
    """Raises RestorekitError for what cannot be the name of a package, a module and a command."""
    wrong = not NAME.fullmatch(name) or len(name) > LONGEST
    if wrong or keyword.iskeyword(name) or name.startswith("restorekit"):
        raise RestorekitError(
            f"{name!r} is no name for a plugin; use small letters, digits and hyphens, as in deblur"
        )


def target(file: str, package: str, name: str) -> Path:
    """Where the text of a template goes: modules into the package, the test beside it."""
    plain = file.removesuffix(SUFFIX)
    if plain == "test.py":
        return Path("tests", f"test_{name.replace('-', '_')}.py")
    return Path(package, plain) if plain.endswith(".py") else Path(plain)
