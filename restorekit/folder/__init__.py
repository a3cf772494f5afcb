"""The five lines over many files, resumable: what to do, what was done, and the doing."""

from .manifest import Manifest
from .plan import Job, Plan, Selection, plan
from .run import ON_EXISTS, Outcome, Runner

__all__ = ["ON_EXISTS", "Job", "Manifest", "Outcome", "Plan", "Runner", "Selection", "plan"]
