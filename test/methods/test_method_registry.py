# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Methods by name, their options, and those of other packages."""

from __future__ import annotations

import importlib.metadata
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from uav_prune_perception.methods import registry
from uav_prune_perception.methods.allocation import GlobalThreshold, Uniform
from uav_prune_perception.methods.interfaces import LevelContext, Method, MethodError, Scores
from uav_prune_perception.methods.l1 import L1Magnitude
from uav_prune_perception.methods.recipe import Recipe, Section, load_recipe
from uav_prune_perception.methods.recipe_source import RecipeError

RECIPE = """\
name: small
data: {kind: generated_scenes, train: 4}
network: {name: aerial_detector}
train: {epochs: 2}
prune:
  method: l1
  levels:
    - {kept_macs: 0.45}
finetune: {epochs: 1}
"""


class Noise:
    """A score without options."""

    def score(self, context: LevelContext) -> Scores:
        return {group.name: torch.rand(group.width) for group in context.graph.groups}


class PowerSection(Section):
    """Options as a section of a recipe."""

    power: float = 1.0


@dataclass(frozen=True)
class Steps:
    """Options as a dataclass."""

    first: int
    second: str = 'two'

    def __post_init__(self) -> None:
        if self.first < 0:
            raise ValueError('first must not be negative')


def powered(options: PowerSection) -> Method:
    return Method(score=L1Magnitude(), allocator=Uniform(), recovery='none')


def stepped(options: Steps) -> Method:
    assert isinstance(options, Steps)
    return Method(score=Noise())


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package with four entry points."""
    module = types.ModuleType('another_package')
    for thing in (Noise, powered, stepped):
        setattr(module, thing.__name__, thing)
    module.seven = lambda: 7
    monkeypatch.setitem(sys.modules, 'another_package', module)
    names = {'noise': 'Noise', 'powered': 'powered', 'stepped': 'stepped', 'seven': 'seven'}
    points = [
        importlib.metadata.EntryPoint(name, f'another_package:{value}', registry.ENTRY_POINTS)
        for name, value in names.items()
    ]
    points.append(
        importlib.metadata.EntryPoint('broken', 'no_such_package:Score', registry.ENTRY_POINTS)
    )
    monkeypatch.setattr(
        importlib.metadata, 'entry_points', lambda group: points if group else []
    )


def recipe(folder: Path, *settings: str) -> Recipe:
    path = folder / 'recipe.yaml'
    path.write_text(RECIPE)
    return load_recipe(path, settings)


def test_a_score_without_options_is_a_method(tmp_path: Path) -> None:
    method = registry.make_method(recipe(tmp_path, 'prune.method=noise'))
    assert isinstance(method.score, Noise)
    assert isinstance(method.allocator, GlobalThreshold)
    assert method.recovery == 'finetune'
    method = registry.make_method(recipe(tmp_path, 'prune.allocation=uniform'))
    assert isinstance(method.score, L1Magnitude)
    assert isinstance(method.allocator, Uniform)


def test_a_factory_gets_its_options(tmp_path: Path) -> None:
    method = registry.make_method(recipe(tmp_path, 'prune.method=powered', 'finetune=null'))
    assert method.recovery == 'none', 'so finetune may be absent'
    registry.make_method(recipe(tmp_path, 'prune.method=stepped', 'prune.options.first=3'))
    method = registry.make_method(
        recipe(tmp_path, 'prune.method=powered', 'prune.recovery=finetune')
    )
    assert method.recovery == 'finetune', 'the recipe has the last word'


@pytest.mark.parametrize(
    ('settings', 'parts'),
    [
        (['prune.method=l7'], ['--set prune.method=l7: prune.method: no "l7"']),
        (['prune.method=nois'], ['did you mean "noise"']),
        (['prune.allocation=globl'], ['prune.allocation', 'did you mean "global"']),
        (['prune.method=powered', 'prune.allocation=global'], ['decides that by itself']),
        (['prune.options.power=2'], ['prune.options.power: no such key; there is none']),
        (['prune.method=powered', 'prune.options.pover=2'], ['did you mean "power"']),
        (['prune.method=powered', 'prune.options.power=much'], ['valid number', "'much'"]),
        (['prune.method=stepped'], ['prune.options.first: is missing']),
        (['prune.method=stepped', 'prune.options.first=x'], ['prune.options.first', "'x'"]),
        (['prune.method=stepped', 'prune.options.first=-1'], ['first must not be negative']),
        (['prune.method=seven'], ['gives a int, which is neither']),
        (['prune.method=broken'], ['"broken" comes from no_such_package:Score']),
        (['finetune=null'], ['finetune: is missing; method l1 needs it']),
        (['sparse.epochs=3'], ['sparse: method l1 has no such phase']),
        (['prune.recovery=retire'], ['prune.recovery', "'retire'"]),
        (['prune.reconstruct=true', 'prune.method=acp', 'search.epochs=1'],
         ['prune.reconstruct: method acp keeps the weights', 'remove the line']),
        (['prune.reconstruct=true', 'prune.recovery=scratch'], ['begins with new weights']),
    ],
)
def test_a_wrong_choice_is_named_with_its_place(
    tmp_path: Path, settings: list[str], parts: list[str]
) -> None:
    with pytest.raises((MethodError, RecipeError)) as caught:
        registry.make_method(recipe(tmp_path, *settings))
    message = str(caught.value)
    assert '\n' not in message
    assert message.startswith(('--set', f'{tmp_path}/recipe.yaml'))
    for part in parts:
        assert part in message


def test_a_method_needs_a_way_to_choose() -> None:
    with pytest.raises(MethodError, match='needs a score'):
        Method()
