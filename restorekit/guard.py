"""Running a plugin's code: whatever it does is told as its own, and ends nothing else."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from .errors import RestorekitError

log = logging.getLogger(__name__)


@contextlib.contextmanager
def guarded(what: str) -> Iterator[None]:
    """Makes everything that is raised within a RestorekitError: sys.exit too, and a
    KeyboardInterrupt that the code itself raised. Ctrl-C goes through.

    What is printed within goes to the standard error, as the standard output may be read by
    programs.

    Args:
        what: is done within, as in "import" or "restorekit_tasks"; the error begins with it.
    """
    with ctrl_c() as pressed, contextlib.redirect_stdout(sys.stderr):
        try:
            yield
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and pressed():
                raise
            said = isinstance(error, RestorekitError)
            raise RestorekitError(f"{what}{':' if said else ' failed,'} {reason(error)}") from error


@contextlib.contextmanager
def ctrl_c() -> Iterator[Callable[[], bool]]:
    """Tells whether the user has pressed Ctrl-C since, as code may raise KeyboardInterrupt too.

    Only where Python's own handler is in place, in the main thread, does Ctrl-C raise at all.
    """
    count = 0

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        signal.default_int_handler(number, frame)

    alone = threading.current_thread() is not threading.main_thread()
    if alone or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield lambda: False
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield lambda: count > 0
    finally:
        if signal.getsignal(signal.SIGINT) is handler:  # else the code has set its own
            signal.signal(signal.SIGINT, signal.default_int_handler)


def reason(error: BaseException) -> str:
    """What happened, on one line; of an error whose words are meant for people, these alone."""
    try:
        said = " ".join(str(error).split())
    except Exception:  # a stranger's
        said = ""
    if isinstance(error, RestorekitError | AssertionError) and said:
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
