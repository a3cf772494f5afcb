"""Tries hostile cases by the hundred, for as long as it is told, and says what fell.

    python samples/hostile.py --minutes 10
    python samples/hostile.py --group reads --seed 7 --case truncated

The groups are the four gates: writes, reads, states, silent. Every try has its own seed, which
`--case NAME --seed N --minutes 0` repeats. Exit code 1 where something fell.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from hostile_cases import Case, Fell, reads, silent, states, writes

GROUPS: dict[str, list[Case]] = {
    "writes": writes.CASES,
    "reads": reads.CASES,
    "states": states.CASES,
    "silent": silent.CASES,
}
PATIENCE = 120  # seconds that a try may take

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--minutes", type=float, default=10.0)
parser.add_argument("--group", choices=GROUPS, action="append")
parser.add_argument("--case", help="only those with this in their name")
parser.add_argument("--seed", type=int, default=1)


def hung(_: int, __: FrameType | None) -> None:
    raise Fell(f"not done after {PATIENCE} s")


def tried(case: Case, seed: int) -> str | None:
    """One try in a folder of its own; what fell, if it did."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    before = Path.cwd()
    os.chdir(folder)
    signal.alarm(PATIENCE)
    try:
        case(random.Random(seed), folder)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        os.chdir(before)
        shutil.rmtree(folder, ignore_errors=True)
    return None


def main() -> int:
    """Every case in turn, again and again, until the time is up."""
    arguments = parser.parse_args()
    chosen = [
        (group, case)
        for group in arguments.group or GROUPS
        for case in GROUPS[group]
        if arguments.case is None or arguments.case in case.__name__
    ]
    if not chosen:
        parser.error("no such case")
    signal.signal(signal.SIGALRM, hung)
    tries: Counter[str] = Counter()
    falls: Counter[str] = Counter()
    ends, seed = time.monotonic() + 60 * arguments.minutes, arguments.seed
    while True:
        for group, case in chosen:
            fell = tried(case, seed)
            tries[group] += 1
            if fell is not None:
                falls[group] += 1
                print(f"{group} {case.__name__} --seed {seed}: {fell}", flush=True)
        seed += 1
        if time.monotonic() >= ends:
            break
    for group in dict(chosen):
        print(f"{group:8} {tries[group]:6} tried {tries[group] - falls[group]:6} survived")
    return 1 if falls else 0


if __name__ == "__main__":
    sys.exit(main())
