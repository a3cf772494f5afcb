"""The five lines over many files, resumable: what to do, what was done, and the doing."""

from .manifest import Manifest
from .plan import Job, Plan, Selection, plan
from .run import Files, Outcome, Runner

__all__ = [
    "Files",
    "Job",
    "Manifest",
    "Outcome",
    "Plan",
    "Runner",
    "Selection",
    "plan",
]
