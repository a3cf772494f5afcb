"""For tests of the page: a server in this process, and how to ask it without a browser."""

from __future__ import annotations

import contextlib
import http.client
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn

from restorekit import images
from restorekit.cli import web
from restorekit.web.app import app
from restorekit.web.pixels import Photos
from restorekit.web.server import listening
from restorekit.web.session import Session

TOKEN = "a-secret-of-this-test"
OWN = object()  # the page's own header, where a test gives no other


@dataclass
class Server:
    """A page that is served.

    Attributes:
        folder: its photos; what it keeps is in `restored` below.
    """

    session: Session
    port: int

    @property
    def folder(self) -> Path:
        return self.session.folder

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/?token={TOKEN}"

    def ask(
        self,
        path: str,
        body: Any = None,
        *,
        method: str = "",
        token: str | None = TOKEN,
        host: Any = OWN,
        **headers: str,
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, content and headers of an answer, to a path that is sent as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        own = f"127.0.0.1:{self.port}"
        sent = {"Host": own if host is OWN else host, **headers}
        if token is not None:
            sent["Cookie"] = f"restorekit-{self.port}={token}"
        data = body if isinstance(body, bytes | None) else json.dumps(body)
        method = method or ("GET" if body is None else "POST")
        connection.putrequest(method, path, skip_host=True)
        for name, value in sent.items():
            connection.putheader(name.replace("_", "-"), value)
        if data is not None:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data.encode() if isinstance(data, str) else data)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content, {k.lower(): v for k, v in answer.getheaders()}

    def json(self, path: str, body: Any = None) -> Any:
        """What an address answers."""
        status, content, _ = self.ask(path, body)
        assert status == 200, content
        return json.loads(content)

    def finished(self, job: dict[str, Any]) -> dict[str, Any]:
        """A job once it is over."""
        while job["state"] in ("waiting", "running"):
            time.sleep(0.02)
            job = self.json(f"/api/jobs/{job['id']}")
        return job

    def asked(self, photo: str, task: str, **values: Any) -> dict[str, Any]:
        """What a page sends to have a photo restored."""
        steps = [{"task": task, "values": values}]
        return {"tab": "one", "photo": photo, "steps": steps, "writing": {}}


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server of a folder, for as long as the block runs."""
    tasks, writing = web.forms({})
    with tempfile.TemporaryDirectory() as scratch, listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        output = folder / "restored"
        session = Session(folder, output, Path(scratch), tasks, writing, Photos(178))
        config = uvicorn.Config(
            app(session, TOKEN, "127.0.0.1", port), log_level="critical", lifespan="off"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        session.queue.start()
        try:
            yield Server(session, port)
        finally:
            server.should_exit = True
            session.close()
            thread.join()


def photo(size: tuple[int, int] = (96, 128), dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    """(H, W, 3), smooth, with a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    waves = [0.5 + 0.4 * np.sin(x / 9 + c + seed) * np.cos(y / 7) for c in range(3)]
    noisy = np.stack(waves, axis=2) + rng.normal(0, 0.03, (*size, 3))
    return (noisy.clip(0, 1) * np.iinfo(dtype).max).astype(dtype)


def put(path: Path, pixels: np.ndarray, **more: Any) -> None:
    """Writes a photo."""
    images.write(path, images.Photo(pixels, **more))
