"""The five lines over many files, resumable: what to do, what was done, and the doing."""

from . import local
from .manifest import Manifest
from .plan import Job, Plan, Selection, picture_of, plan
from .run import Engine, Runner
from .work import Files, Outcome, Restoring, Spec, Workshop, read_by

__all__ = [
    "Engine",
    "Files",
    "Job",
    "Manifest",
    "Outcome",
    "Plan",
    "Restoring",
    "Runner",
    "Selection",
    "Spec",
    "Workshop",
    "local",
    "picture_of",
    "plan",
    "read_by",
]
