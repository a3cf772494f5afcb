"""Starts the page's server, and ends it."""

from __future__ import annotations

import secrets
import signal
import socket
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import uvicorn

from ..errors import RestorekitError
from .app import app
from .forms import Form
from .pixels import Photos
from .queue import Queue
from .session import Session

TRIED = 20  # ports, from the first on, as another page may be open


def serve(
    folder: Path,
    output: Path,
    forms: Mapping[str, Form],
    writing: Form,
    *,
    host: str,
    port: int,
    max_megapixels: float,
    ready: Callable[[str], None],
) -> None:
    """Serves the page until it is interrupted.

    Args:
        folder, output, forms, writing: see `Session`.
        port: or one of the next, where it is taken; 0: any.
        ready: called with the page's address, once it answers.

    Raises:
        RestorekitError: if no port is free.
    """
    token = secrets.token_urlsafe(24)
    with listening(host, port) as listener, tempfile.TemporaryDirectory() as scratch:
        port = listener.getsockname()[1]
        session = Session(
            folder, output, Path(scratch), forms, writing, Photos(max_megapixels), Queue(warm)
        )
        config = uvicorn.Config(
            app(session, token, host, port),
            log_level="critical",
            ws="none",
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        server = uvicorn.Server(config)
        # An exception amid an import would leave its lock behind, which the worker waits for.
        ended = signal.SIGINT, signal.SIGTERM
        before = {number: signal.signal(number, server.handle_exit) for number in ended}
        try:
            session.queue.start()
            ready(f"http://{shown}:{port}/?token={token}")
            server.run(sockets=[listener])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)  # who asks again does not wait for the worker
            session.close()


def warm() -> None:
    """Imports what restores, while the page is looked at."""
    from . import work  # noqa: F401


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens on a port, or the next one that is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    why = ""
    for number in range(port, port + TRIED) if port else (0,):
        listener = socket.socket(family)
        try:
            listener.bind((host, number))
            listener.listen(100)
        except OSError as error:
            listener.close()
            why = error.strerror or str(error)
        else:
            return listener
    raise RestorekitError(f"{host}:{port} cannot be listened on ({why}); choose another --port")
