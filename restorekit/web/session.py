"""What the page may ask for: the photos of a folder, and jobs about them. Nothing of HTTP."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from .. import files, images
from ..errors import RestorekitError
from . import pixels
from .asked import Asked, Written, asked
from .forms import Form
from .painted import Masks, painting
from .places import inside
from .queue import Job, Queue, Rank

Step = Mapping[str, Any]  # its "task" and the "values" of that task's form


@dataclass
class Session:
    """A folder of photos, and what is made of them.

    Attributes:
        folder: of the photos; files elsewhere are out of reach.
        output: where results are kept, and a folder's run writes.
        scratch: an empty folder for what is not kept yet.
        forms: of the tasks, by name.
        writing: the form of how files are written.
        photos: reads them.
        queue: does the work.
    """

    folder: Path
    output: Path
    scratch: Path
    forms: Mapping[str, Form]
    writing: Form
    photos: pixels.Photos
    queue: Queue = field(default_factory=Queue)

    def __post_init__(self) -> None:
        self.masks = Masks(self.scratch / "masks")

    def path(self, name: str) -> Path:
        """Of a photo in the folder."""
        return inside(self.folder, name)

    def listed(self) -> dict[str, Any]:
        """The folder's photos, and what else there is."""
        from ..folder.left_out import LeftOut
        from ..folder.plan import walk

        problems: list[str] = []
        left_out = LeftOut()
        names = [name for _, name in walk(self.folder, self.output, problems, left_out)]
        for name in names:
            if not name.isprintable() or not self.reachable(name):
                left_out.add("names that lead elsewhere, or cannot be shown", Path(ascii(name)))
        shown = [name for name in names if name.isprintable() and self.reachable(name)]
        return {
            "folder": self.folder.name,
            "output": self.output.name,
            "photos": shown,
            "notes": [*problems, *left_out.told()],
        }

    def reachable(self, name: str) -> bool:
        """Whether a name leads to a file of the folder."""
        with contextlib.suppress(RestorekitError):
            return bool(self.path(name))
        return False

    def asked(self, steps: Sequence[Step], photo: str | None) -> Asked:
        """What steps ask for of a photo; None: of all, for which no mask is painted."""
        return asked(self.forms, [self._drawn(step, photo) for step in steps], self._file)

    def _drawn(self, step: Step, photo: str | None) -> Step:
        """A step whose painted masks are files."""
        values = dict(step["values"]) if isinstance(step.get("values"), dict) else {}
        for name, value in values.items():
            if isinstance(value, dict):
                if photo is None:
                    raise RestorekitError(
                        "a mask is painted for one photo; for a folder, let masks be found"
                    )
                size = self.photos.read(self.path(photo)).pixels.shape
                values[name] = str(self.masks.painted(painting(value), (size[0], size[1])))
        return {**step, "values": values}

    def _file(self, text: str) -> Path:
        """A file of the folder, or a mask that was painted."""
        path = Path(text)
        return path if path.parent == self.masks.folder else self.path(text)

    def written(self, values: Mapping[str, Any]) -> Written:
        """How files are to be written."""
        found: Written = self.writing.read(values, self.path)
        return found

    def preview(
        self, tab: str, name: str, steps: Sequence[Step], side: int, at: tuple[int, int]
    ) -> Job:
        """Restores a part of a photo; its picture is the part as it will be."""

        def work(job: Job) -> dict[str, Any]:
            from .work import previewed

            path = self.path(name)
            photo = self.photos.read(path)
            part = previewed(self.asked(steps, name), photo, path.name, side, at, job)
            if part is None:
                return {"box": None, "notes": ["nothing to mend here: it stays as it is"]}
            shown = photo.with_pixels(part.result.pixels, part.result.alpha)
            job.picture = pixels.encoded(pixels.view(shown, pixels.whole(shown), pixels.MOST), True)
            window = part.window
            box = [window.left, window.top, window.width, window.height]
            return {"box": box, "notes": list(part.result.notes)}

        return self.queue.submit(Job(Rank.PREVIEW, work, tab))

    def find(self, tab: str, name: str, steps: Sequence[Step]) -> Job:
        """Lets tasks find what they would mend; the result names the mask."""

        def work(job: Job) -> dict[str, Any]:
            from .work import found

            path = self.path(name)
            mask = found(self.asked(steps, name), self.photos.read(path), path.name)
            return {"mask": self.masks.keep(mask), "share": float(mask.mean() / 255)}

        return self.queue.submit(Job(Rank.PHOTO, work, tab))

    def restore(
        self, tab: str, name: str, steps: Sequence[Step], writing: Mapping[str, Any]
    ) -> Job:
        """Restores a photo into files that `keep` gives their names."""
        path = self.path(name)

        def work(job: Job) -> dict[str, Any]:
            from .work import restored

            aside = self.scratch / job.id
            job.forgotten = partial(shutil.rmtree, aside, ignore_errors=True)
            done, notes = restored(self.asked(steps, name), self.written(writing), path, aside, job)
            job.made = done
            height, width = self.photos.read(done[0].path).pixels.shape[:2]
            roles = [one.role for one in done]
            return {"photo": name, "roles": roles, "notes": notes, "size": [width, height]}

        return self.queue.submit(Job(Rank.PHOTO, work, tab))

    def restore_folder(self, tab: str, steps: Sequence[Step], writing: Mapping[str, Any]) -> Job:
        """Restores all photos, as the command line does with a folder."""

        def work(job: Job) -> dict[str, Any]:
            from .work import restored_folder

            what = self.asked(steps, None)
            return restored_folder(what, self.written(writing), self.folder, self.output, job)

        return self.queue.submit(Job(Rank.FOLDER, work, tab))

    def made(self, key: str, index: int) -> Path:
        """A file that a job has made."""
        job = self.queue.find(key)
        if not 0 <= index < len(job.made):
            raise RestorekitError("there is no such result; restore the photo again")
        return job.made[index].path

    def keep(self, key: str, index: int) -> list[str]:
        """Saves a result, to the bit as it was written, and what its task shows besides; the
        names, below the folder of results."""
        from ..folder.run import free_target
        from .work import kept

        self.made(key, index)
        job = self.queue.find(key)
        extras = [one for one in job.made if one.extra]
        saved = []
        for one in dict.fromkeys([job.made[index], *extras]):
            target = free_target(kept(one, job.result["photo"], self.output), "rename")
            assert target is not None
            name = target.relative_to(self.output).as_posix()
            images.check_writable(target)
            files.make_folder(target.parent)
            files.write(inside(self.output, name), files.read(one.path), replace=False)
            saved.append(name)
        return saved

    def close(self) -> None:
        """Ends all jobs."""
        self.queue.close()
