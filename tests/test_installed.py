"""A plugin that is installed for a test alone."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pytest

import restorekit
from restorekit import plugins
from restorekit.hookspecs import hookimpl
from restorekit.metrics import Metric, psnr
from restorekit.task import Task
from restorekit.testing import installed

from .plain import Plain


def module(name: str, **hooks: Callable[..., Any]) -> types.ModuleType:
    made = types.ModuleType(name)
    vars(made).update({hook: hookimpl(function) for hook, function in hooks.items()})
    return made


def test_an_installed_plugin_is_there_for_a_while() -> None:
    def restorekit_tasks() -> Iterable[Task]:
        return [Plain()]

    def restorekit_metrics() -> Mapping[str, Metric]:
        return {"mine": psnr}

    picture = np.full((8, 8, 3), 128, np.uint8)
    mine = module("mine", restorekit_tasks=restorekit_tasks, restorekit_metrics=restorekit_metrics)
    with installed(mine) as registry:
        assert {"plain", "denoise"} <= set(registry.tasks)
        assert "mine" in plugins.registry().offered("metric")
        assert restorekit.restore("plain", picture).shape == picture.shape
    assert "plain" not in plugins.registry().tasks
    with pytest.raises(restorekit.RestorekitError, match="unknown"):
        restorekit.restore("plain", picture)


def test_a_broken_plugin_is_not_installed() -> None:
    with pytest.raises(AssertionError, match=r"plugin slip: .*restorekit_taks"):
        installed(module("slip", restorekit_taks=lambda: [])).__enter__()
