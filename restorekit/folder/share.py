"""How many workers a cluster has room for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..errors import RestorekitError

CPUS = 4  # of a worker, at most: more of them gain more from another worker


@dataclass(frozen=True)
class Share:
    """How many workers, and what of the cluster each of them has."""

    workers: int
    cpus: int
    gpus: int = 0


def share(machines: Iterable[Mapping[str, float]], device: str, wanted: int | None) -> Share:
    """A worker for each GPU; where there are none or the CPU is asked for, for every few CPUs.

    Args:
        machines: the resources of each, as Ray has them.
        wanted: workers; for more than there is room for, each has fewer CPUs.

    Raises:
        RestorekitError: if there is no room for them.
    """
    machines = [machine for machine in machines if machine.get("CPU", 0) >= 1]
    cards = [machine for machine in machines if machine.get("GPU", 0) >= 1]
    if device == "cuda" or (device == "auto" and cards):
        room = sum(int(machine["GPU"]) for machine in cards)
        spare = min((int(m["CPU"] // m["GPU"]) for m in cards), default=0)
        fit = Share(wanted or room, max(min(spare, CPUS), 1), 1)
    else:

        def workers_of(cpus: int) -> int:
            return sum(int(machine["CPU"]) // cpus for machine in machines)

        most = min((int(machine["CPU"]) for machine in machines), default=0)
        sizes = range(min(most, CPUS), 0, -1)
        cpus = next((size for size in sizes if workers_of(size) >= (wanted or 1)), 1)
        room = workers_of(cpus)
        fit = Share(wanted or room, cpus)
    if not 0 < fit.workers <= room:
        what = "GPUs" if fit.gpus else "CPUs"
        raise RestorekitError(
            f"the cluster has {what} for {room} workers; start more machines"
            + (f", or give --workers {room} at most" if room else "")
        )
    return fit
