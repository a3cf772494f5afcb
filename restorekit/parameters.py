"""Options of methods, samplers and priors: keyword-only parameters of the function itself.

    def ddim(denoiser, x_t, t, s, noise, previous, *, eta: Annotated[float, Range(0, 1)] = 0.0):
        \"\"\"The implicit step (DDIM eq. 12).

        Args:
            eta: how much of the ancestral step's noise is drawn anew.
        \"\"\"

is all there is to it: name, type, default and limits are the signature's, the help is the
docstring's. Options are float, int, bool or str; other keyword-only parameters are none.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import click

from .engine.declared import Range, layers
from .errors import RestorekitError
from .options import Number

Function = Callable[..., Any]
KINDS = (bool, int, float, str)
ANYTHING = Range()


@dataclass(frozen=True)
class Parameter:
    """An option of a function.

    Attributes:
        kind: bool, int, float or str.
        default: what it is unless it is given.
        range: of a number.
        help: what the docstring says of it.
    """

    name: str
    kind: type
    default: Any
    range: Range = ANYTHING
    help: str = ""

    def value(self, given: Any) -> Any:
        """What is given as text, or in Python, as the function takes it; None is the default.

        Raises:
            click.BadParameter: if it is of another type, out of range, or not finite.
        """
        if given is None:
            return self.default
        # What is no text is read as such: click would cut 2.7 down to an integer.
        return self._type.convert(str(given), None, None)

    @property
    def _type(self) -> click.ParamType[Any]:
        if self.kind is float:
            return Number(*self.range)
        if self.kind is int:
            least, most = (None if math.isinf(end) else int(end) for end in self.range)
            return click.IntRange(least, most)
        return click.BOOL if self.kind is bool else click.STRING


def of(function: Function) -> dict[str, Parameter]:
    """The options of a function, by name; those of what a `functools.partial` or a wrapper holds.

    The defaults are those of the partial.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of something built in
        return {}
    own = layers(function)[-1]
    hints, told = hints_of(own), help_of(own)
    found = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY or parameter.default is parameter.empty:
            continue
        kind, limits = typed(hints.get(name), parameter.default)
        if kind is not None:
            found[name] = Parameter(name, kind, parameter.default, limits, told.get(name, ""))
    return found


def hints_of(function: Function) -> dict[str, Any]:
    """Annotations; none, where they name what cannot be found."""
    try:
        return get_type_hints(function, include_extras=True)
    except Exception:  # whatever stands in a plugin's annotations
        return {}


def typed(hint: Any, default: Any) -> tuple[type | None, Range]:
    """The type and the limits that an annotation states, else the default's type."""
    limits = ANYTHING
    if get_origin(hint) is Annotated:
        hint, *extras = get_args(hint)
        limits = next((extra for extra in extras if isinstance(extra, Range)), limits)
    either = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    stated = [kind for kind in either if kind in KINDS]
    if not stated and hint is None:
        stated = [kind for kind in KINDS if type(default) is kind]
    return (stated[0] if stated else None), limits


def help_of(function: Function) -> dict[str, str]:
    """What the section `Args:` of a docstring says of each parameter, on one line."""
    lines = (inspect.getdoc(function) or "").splitlines()
    told: dict[str, str] = {}
    inside, name = False, ""
    for line in lines:
        if line == "Args:":
            inside = True
        elif inside and line and not line.startswith(" "):
            break
        elif inside and (begun := re.match(r" {4}(\w+): *(.*)", line)):
            name = begun[1]
            told[name] = begun[2]
        elif inside and name and line.strip():
            told[name] = f"{told[name]} {line.strip()}"
    return told


def summary_of(function: Function) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(layers(function)[-1]) or "").partition("\n")[0]


def dealt(
    given: Mapping[str, Any], to: Mapping[str, tuple[str, Function]]
) -> dict[str, dict[str, Any]]:
    """Who gets which of the options that were given.

    Args:
        given: values by name, as text or as they are. A name goes to whichever has it; where
            several do, as KIND.NAME.
        to: by kind ("method", "sampler", "prior"): a name, for messages, and the function.

    Returns:
        For each kind the values that differ from its defaults, checked.

    Raises:
        RestorekitError: for a name that none has, or several have, and for a wrong value.
    """
    offered = {kind: of(function) for kind, (_, function) in to.items()}
    got: dict[str, dict[str, Any]] = {kind: {} for kind in to}
    for full, value in given.items():
        kind, dot, name = full.rpartition(".")
        kinds = [k for k, options in offered.items() if name in options and (not dot or k == kind)]
        if not kinds:
            there = "; ".join(
                f"{k} {to[k][0]!r} has {', '.join(options) or 'none'}"
                for k, options in offered.items()
            )
            hint = f"; before the dot stands {' or '.join(to)}" if dot and kind not in to else ""
            raise RestorekitError(f"there is no option {full!r} to give: {there}{hint}")
        if len(kinds) > 1:
            ways = " or ".join(f"{k}.{name}" for k in kinds)
            raise RestorekitError(f"the option {name!r} has several owners; write {ways}")
        (owner,) = kinds
        parameter = offered[owner][name]
        try:
            checked = parameter.value(value)
        except click.BadParameter as error:
            what = f"{owner} {to[owner][0]!r}: option {name}"
            raise RestorekitError(f"{what}: {error.message}") from error
        if checked != parameter.default:
            got[owner][name] = checked
    return got


def flat(tuning: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What was dealt as one list, for reports: sampler.eta and so on."""
    return {f"{kind}.{name}": v for kind, own in tuning.items() for name, v in own.items()}


def bound(function: Function, values: Mapping[str, Any]) -> Function:
    """The function with these options; itself, where there are none."""
    return functools.partial(function, **values) if values else function


def from_text(words: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE of each word; of a name that comes twice, the last.

    Raises:
        RestorekitError: for a word of another form.
    """
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (equals and name):
            raise RestorekitError(f"{word!r} is no option; write NAME=VALUE, as in eta=0.5")
        found[name.strip().replace("-", "_")] = value
    return found
