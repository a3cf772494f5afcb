"""Which file becomes which."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from .. import files, images
from ..errors import RestorekitError
from .left_out import LeftOut

PRIVATE = ".restorekit"  # what a run keeps in its output folder


@dataclass(frozen=True)
class Job:
    """One picture: where from (None: from nothing), where to, its name for noise and messages.

    With several samples `targets` are those of each sample, of their mean and of their deviation;
    and then those of `extras`, what a task shows besides.
    """

    source: Path | None
    target: Path
    name: str
    samples: int = 1
    extras: tuple[str, ...] = ()

    @property
    def targets(self) -> list[Path]:
        extras = [self.target.with_name(f"{self.target.stem}-{name}.png") for name in self.extras]
        if self.samples == 1:
            return [self.target, *extras]
        names = [*map(str, range(1, self.samples + 1)), "mean", "deviation"]
        return [*(self.target.with_stem(f"{self.target.stem}-{name}") for name in names), *extras]


def picture_of(written: Sequence[Path]) -> tuple[Path, Path | None]:
    """Of a photo's outputs the picture itself, or the mean of its samples; and their deviation."""
    first = written[0]
    stem = first.stem.removesuffix("-1")
    mean, deviation = (first.with_stem(f"{stem}-{name}") for name in ("mean", "deviation"))
    if mean not in written:
        return first, None
    return mean, deviation if deviation in written else None


@dataclass(frozen=True)
class Selection:
    """Which of a folder's photos are wanted, and what they become.

    Attributes:
        include, exclude: patterns as the shell has them, for a photo's path within its folder or
            for its name alone; with `include`, only what matches one is wanted.
        shard: (I, N): the I-th of N parts, which names alone decide, so that any number of
            machines can share the work without speaking to each other.
        suffix: of the outputs, where it is not the inputs'.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    shard: tuple[int, int] = (1, 1)
    suffix: str | None = None

    def matches(self, name: str) -> bool:
        """Whether the photo with that path within its folder is wanted at all."""

        def any_of(patterns: Sequence[str]) -> bool:
            return any(fnmatch(name, p) or fnmatch(PurePosixPath(name).name, p) for p in patterns)

        return (not self.include or any_of(self.include)) and not any_of(self.exclude)

    def in_shard(self, name: str) -> bool:
        """Whether it is this shard's."""
        part, parts = self.shard
        digest = hashlib.blake2b(os.fsencode(name), digest_size=8).digest()
        return int.from_bytes(digest, "little") % parts == part - 1

    def renamed(self, target: Path) -> Path:
        return target.with_suffix(self.suffix) if self.suffix else target

    def in_folder(self, target: Path) -> Path:
        """The same for a folder's photos, where what is never written becomes a JPEG."""
        read_only = not self.suffix and target.suffix.lower() in images.READ_ONLY
        return target.with_suffix(".jpg") if read_only else self.renamed(target)


@dataclass(frozen=True)
class Plan:
    """What a run is to do.

    Attributes:
        jobs: one for each picture, sorted by path.
        folder: the output folder, or None where a single file is written.
        problems: folders that could not be read, a message each.
        targets: where all photos will be written, those of other shards too.
        left_out: what folders hold besides, a line for each kind.
    """

    jobs: list[Job]
    folder: Path | None = None
    problems: list[str] = field(default_factory=list)
    targets: frozenset[Path] = frozenset()
    left_out: list[str] = field(default_factory=list)


def plan(
    inputs: Sequence[Path],
    output: Path,
    samples: int = 1,
    selection: Selection = Selection(),
    extras: tuple[str, ...] = (),
) -> Plan:
    """Pairs every input file with its output.

    One file goes to the file `output`, and so does what needs no input; several, or a folder's,
    go into the folder `output` under their own names, a folder's tree mirrored.

    Args:
        extras: names of what is written besides each photo, see `Task.extras`.

    Raises:
        RestorekitError: if an input is missing, two would become the same output, one would
            overwrite an original, or leave the output folder.
    """
    if not inputs:
        return Plan([Job(None, selection.renamed(output), output.name, samples, extras)])
    for given in inputs:
        if not given.exists():
            raise RestorekitError(f"{given}: no such file; check the path")
        if not (given.is_dir() or given.is_file()):
            raise RestorekitError(f"{given}: is a pipe or a device; save it as a file first")
    if len(inputs) == 1 and not inputs[0].is_dir():
        if output.is_dir():
            raise RestorekitError(
                f"{output}: is a folder; for one photo name a file, as {output / inputs[0].name}"
            )
        check_format(output, selection.suffix)
        jobs = [Job(inputs[0], selection.renamed(output), inputs[0].name, samples, extras)]
        check(jobs, None)
        return Plan(jobs)
    if output.exists() and any(output.samefile(given) for given in inputs):
        raise RestorekitError(f"{output}: is an input itself; name another output folder")
    if output.exists() and not output.is_dir():
        raise RestorekitError(f"{output}: is a file; several photos need a folder as output")
    pairs: list[tuple[Path, str]] = []
    problems: list[str] = []
    left_out = LeftOut()
    for given in inputs:
        if given.is_dir():
            pairs += walk(given, output, problems, left_out)
        else:
            pairs.append((given, given.name))
    if not pairs and not problems:
        raise RestorekitError(
            f"{inputs[0]}: holds no photos; known are {known_suffixes()}"
            + "".join(f"; {line}" for line in left_out.told())
        )
    wanted = [
        Job(source, selection.in_folder(output / name), name, samples, extras)
        for source, name in pairs
        if selection.matches(name)
    ]
    if pairs and not wanted:
        raise RestorekitError(
            f"{inputs[0]}: none of {len(pairs)} photos is wanted; see --include and --exclude"
        )
    check(wanted, output)  # over all shards, which may run at the same time
    mine = [job for job in wanted if selection.in_shard(job.name)]
    targets = frozenset(target for job in wanted for target in job.targets)
    return Plan(mine, output, problems, targets, left_out.told())


def check_format(output: Path, suffix: str | None) -> None:
    """Raises RestorekitError where a file's name says another format than --format."""
    named = images.KINDS.get(output.suffix.lower())
    if suffix and named and named != images.KINDS.get(suffix):
        raise RestorekitError(
            f"{output}: its name and --format {suffix[1:]} ask for two formats; "
            f"name it {output.with_suffix(suffix).name}, or leave out --format"
        )


def known_suffixes() -> str:
    """For messages."""
    return " ".join(sorted(images.SUFFIXES))


def walk(
    folder: Path, output: Path | None, problems: list[str], left_out: LeftOut
) -> list[tuple[Path, str]]:
    """(file, path within the folder) of the photos below it, without those in the output folder.

    Links to folders are not followed. Folders that cannot be read are told in `problems`, and
    what is passed by is counted in `left_out`.
    """
    skipped = output and files.identity(output)

    def unreadable(error: OSError) -> None:
        problems.append(
            f"{error.filename}: cannot be read ({error.strerror}); its photos are missing"
        )

    found: list[tuple[Path, str]] = []
    for root, folders, names in os.walk(folder, onerror=unreadable):
        here = Path(root)
        folders[:] = sorted(
            d for d in folders if d != PRIVATE and files.identity(here / d) != skipped
        )
        for name in [d for d in folders if is_folder(here / d / PRIVATE)]:
            folders.remove(name)  # restored again, its photos would multiply with every run
            left_out.add("outputs of an earlier run, to be named themselves", here / name)
        for name in [d for d in folders if d.startswith(".") or d == "@eaDir"]:
            folders.remove(name)
            left_out.add("hidden folders, of trash or previews", here / name)
        for name in folders:
            if (here / name).is_symlink():
                left_out.add("links to folders, which are not followed", here / name)
        found += [
            (here / name, (here / name).relative_to(folder).as_posix())
            for name in sorted(names)
            if left_out.takes(here / name, names)
        ]
    return found


def is_folder(path: Path) -> bool:
    """Whether it is one; not, where nobody may look."""
    try:
        return path.is_dir()
    except OSError:
        return False


def check(jobs: Sequence[Job], output: Path | None) -> None:
    """Raises RestorekitError where an original or another output would be overwritten."""
    # By identity, as a disk may take IMG.JPG and img.jpg for one.
    sources = {files.identity(job.source) for job in jobs if job.source} - {None}
    inside = None if output is None else os.path.realpath(output)
    takers: dict[str, Path | None] = {}
    for job in jobs:
        for target in job.targets:
            place = os.path.realpath(target)  # not resolve: it raises where links go in circles
            if files.identity(target) in sources:
                raise RestorekitError(
                    f"{target}: is an input itself; name another output, originals are kept"
                )
            if inside is not None and not Path(place).is_relative_to(inside):
                raise RestorekitError(
                    f"{target}: a link leads it out of {output}; choose another output folder"
                )
            key = os.path.normcase(place)
            if key in takers:
                raise RestorekitError(
                    f"{job.source}: would become the same file as {takers[key]} ({target.name}); "
                    "restore them into different folders"
                )
            takers[key] = job.source
