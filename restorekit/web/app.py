"""The page's addresses: each asks the session one thing, and answers in JSON or a picture."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from .. import files, images, plugins
from ..errors import RestorekitError
from ..guard import reason
from . import pixels
from .places import inside, told
from .safety import Gate
from .session import Session

STATIC = Path(__file__).parent / "static"
LARGEST = 16 << 20  # bytes of what a page asks, with all strokes of a mask
UPLOAD = 1 << 30  # bytes of a photo that is added

Answer = Callable[[Request], Awaitable[Response]]


def app(session: Session, token: str, host: str, port: int) -> ASGIApp:
    """All of it, behind the gate."""
    api = Api(session)
    routes = [
        Route("/", api.page),
        Route("/api/forms", api.got(api.forms)),
        Route("/api/photos", api.got(lambda _: session.listed())),
        Route("/api/photos", api.upload, methods=["POST"]),
        Route("/api/thumbnail", api.got(api.thumbnail)),
        Route("/api/about", api.got(api.about)),
        Route("/api/view", api.got(api.view)),
        Route("/api/masks/{key}", api.got(api.mask)),
        Route("/api/previews", api.posted(api.preview), methods=["POST"]),
        Route("/api/found", api.posted(api.find), methods=["POST"]),
        Route("/api/jobs", api.posted(api.restore), methods=["POST"]),
        Route("/api/folder", api.posted(api.restore_folder), methods=["POST"]),
        Route("/api/jobs/{job}", api.got(api.job)),
        Route("/api/jobs/{job}/part", api.got(api.part)),
        Route("/api/jobs/{job}/cancel", api.posted(api.cancel), methods=["POST"]),
        Route("/api/jobs/{job}/keep", api.posted(api.keep), methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Gate(Starlette(routes=routes), token, host, port)


class Api:
    """What the addresses answer."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def page(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    def got(self, look: Callable[[Request], Any]) -> Answer:
        """An address that is looked at."""

        async def answer(request: Request) -> Response:
            return await self._answered(look, request)

        return answer

    def posted(self, do: Callable[[Request, dict[str, Any]], Any]) -> Answer:
        """An address that is sent an object of JSON."""

        async def answer(request: Request) -> Response:
            body = bytearray()
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST:
                    return failed("this is too much at once; paint less", 413)
            try:
                value = json.loads(bytes(body) or b"{}")
            except (ValueError, RecursionError):
                value = None
            if not isinstance(value, dict):
                return failed("this is no object of JSON", 400)
            return await self._answered(do, request, value)

        return answer

    async def _answered(self, do: Callable[..., Any], *given: Any) -> Response:
        """What a function returns, or why it fails, in words."""
        try:
            answer = await run_in_threadpool(do, *given)
        except RestorekitError as error:
            return failed(self._told(str(error)), 400)
        except (KeyError, TypeError, ValueError) as error:  # of what was sent
            return failed(f"this cannot be understood: {reason(error)}", 400)
        except Exception as error:  # a plugin's, say: the page goes on
            what = plugins.registry().blamed(error) or f"internal error: {reason(error)}"
            return failed(what, 500)
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    def _told(self, text: str) -> str:
        return told(self.session.masks.told(text), self.session.output, self.session.folder)

    def forms(self, request: Request) -> Any:
        found = [form.described() for form in self.session.forms.values()]
        return {"tasks": found, "writing": self.session.writing.described()}

    def thumbnail(self, request: Request) -> Response:
        data = self.session.photos.thumbnail(self._photo(request))
        return Response(data, media_type=pixels.kind_of(data))

    def about(self, request: Request) -> Any:
        return pixels.about(self.session.photos.read(self._photo(request)))

    def view(self, request: Request) -> Response:
        """A part of a photo, or of a job's result."""
        asked = request.query_params
        if "job" in asked:
            path = self.session.made(asked["job"], int(asked.get("index", "0")))
        else:
            path = self._photo(request)
        photo = self.session.photos.read(path)
        side = max(1, int(asked.get("side", str(pixels.MOST))))
        seen = pixels.view(photo, pixels.window_of(asked.get("box", ""), photo), side)
        data = pixels.encoded(seen)
        return Response(data, media_type=pixels.kind_of(data))

    def mask(self, request: Request) -> Response:
        """A mask, reduced: transparent where it marks nothing."""
        mask = self.session.masks.read(request.path_params["key"])
        photo = images.Photo(mask[..., None], mask)
        data = pixels.encoded(pixels.view(photo, pixels.whole(photo), pixels.MOST), exact=True)
        return Response(data, media_type=pixels.kind_of(data))

    def preview(self, request: Request, body: dict[str, Any]) -> Any:
        x, y = map(int, body["at"])
        side = int(body["side"])
        job = self.session.preview(
            str(body["tab"]), str(body["photo"]), body["steps"], side, (x, y)
        )
        return job.shown()

    def find(self, request: Request, body: dict[str, Any]) -> Any:
        return self.session.find(str(body["tab"]), str(body["photo"]), body["steps"]).shown()

    def restore(self, request: Request, body: dict[str, Any]) -> Any:
        job = self.session.restore(
            str(body["tab"]), str(body["photo"]), body["steps"], body["writing"]
        )
        return job.shown()

    def restore_folder(self, request: Request, body: dict[str, Any]) -> Any:
        job = self.session.restore_folder(str(body["tab"]), body["steps"], body["writing"])
        return job.shown()

    def job(self, request: Request) -> Any:
        shown = self.session.queue.find(request.path_params["job"]).shown()
        return {**shown, "failure": self._told(shown["failure"])}

    def part(self, request: Request) -> Response:
        job = self.session.queue.find(request.path_params["job"])
        return Response(job.picture, media_type="image/png")

    def cancel(self, request: Request, body: dict[str, Any]) -> Any:
        job = self.session.queue.find(request.path_params["job"])
        self.session.queue.cancel(job)
        return job.shown()

    def keep(self, request: Request, body: dict[str, Any]) -> Any:
        return {"saved": self.session.keep(request.path_params["job"], int(body["index"]))}

    async def upload(self, request: Request) -> Response:
        """A photo that is added to the folder, once it has passed the gate of all photos."""
        name = request.query_params.get("name", "")
        try:
            path = inside(self.session.folder, name)
            if path.suffix.lower() not in images.SUFFIXES or path.name.startswith("."):
                raise RestorekitError(f"{name}: is not called as a photo is")
            with files.whole(path, replace=False) as part:
                await received(request, part)
                try:
                    await run_in_threadpool(self.session.photos.read, part)
                except RestorekitError as error:
                    raise RestorekitError(str(error).replace(str(part), name)) from error
        except RestorekitError as error:
            return failed(self._told(str(error)), 400)
        except ClientDisconnect:
            return failed("broken off", 400)
        return JSONResponse({"photo": name})

    def _photo(self, request: Request) -> Path:
        return self.session.path(request.query_params.get("photo", ""))


async def received(request: Request, path: Path) -> None:
    """Writes what is sent. Raises RestorekitError for too much of it."""
    length = 0
    with open(path, "wb") as file:
        async for chunk in request.stream():
            length += len(chunk)
            if length > UPLOAD:
                raise RestorekitError(f"is larger than {UPLOAD >> 20} MB; copy it to the folder")
            file.write(chunk)


def failed(what: str, status: int) -> Response:
    return JSONResponse({"error": what}, status)
