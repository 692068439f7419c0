# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Before the first cut: does the network fit the data, and what is the dense network?"""

from __future__ import annotations

import torch
from torch import nn

from uav_prune_perception.channels import ChannelGraph
from uav_prune_perception.ladder import InputSpec
from uav_prune_perception.networks.weights import WeightsError, load_weights, stated_normalisation
from uav_prune_perception.training.detection_task import NOT_DISTILLED

from .recipe import Recipe
from .recipe_source import RecipeError
from .stages import NOTHING_CUT, BuiltLevel, Stages, Training, base_key

PHASES = ('train', 'sparse', 'soft', 'search', 'finetune', 'retrain')


def check_devices(stages: Stages) -> None:
    """Every phase can compute where it is told to.

    Raises:
        RecipeError: names the line.
    """
    for phase in PHASES:
        section = getattr(stages.recipe, phase)
        if section is None:
            continue
        try:
            torch.empty(0, device=section.device)
        except (RuntimeError, AssertionError) as error:
            reason = (str(error).splitlines() or ['no reason given'])[0][:120]
            place = stages.recipe.place((phase, 'device'))
            raise RecipeError(
                f'{place}: {phase}.device: "{section.device}" cannot be used here: {reason}'
            ) from None


def check_fit(stages: Stages, model: nn.Module) -> None:
    """The network answers the data's pictures in the form that the task reads, and can be taught.

    Raises:
        RecipeError: says what it gives and what was wanted; or names ``distil: true`` of a
            detector with a loss of its own that cannot be distilled.
    """
    task, recipe = stages.task, stages.recipe
    example, classes = task.example_input(), len(task.classes)
    detection = task.kind == 'detection'
    try:
        with torch.no_grad():
            output = model(example)
        found = tuple(output.shape)
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        found, reason = (), f' ({" ".join(str(error).split())[:160]})'
    else:
        reason = ''
    rank, rows = (3, 4 + classes) if detection else (2, classes)
    if len(found) == rank and found[1] == rows:
        if detection:
            _check_distillation(recipe, model)
        return
    wanted = f'[1, {rows}, candidates]' if detection else f'[1, {rows}]'
    if not found and example.shape[1] == 1:
        reason += '; the pictures are grey: let it take 1 channel, or set data.channels: 3'
    raise RecipeError(
        f'{recipe.place(("network",))}: network {recipe.network.name} does not fit '
        f'the {task.kind} data: for pictures {list(example.shape)} it gives '
        f'{list(found) if found else "an error"}{reason}, wanted {wanted}'
    )


def _check_distillation(recipe: Recipe, model: nn.Module) -> None:
    own = callable(getattr(model, 'training_loss', None))
    if not own or callable(getattr(model, 'decoded', None)):
        return
    for phase in PHASES:
        if getattr(getattr(recipe, phase), 'distil', False):
            place = recipe.place((phase, 'distil'))
            raise RecipeError(
                f'{place}: {phase}.distil: {type(model).__name__} {NOT_DISTILLED}'
            )


def start_weights(stages: Stages, model: nn.Module) -> None:
    """Load what the recipe's network starts from, if anything.

    Raises:
        RecipeError: the file does not fit.
    """
    recipe = stages.recipe
    weights = recipe.network.weights
    if weights is None:
        return
    try:
        load_weights(model, weights, strict=recipe.train.epochs == 0)
    except WeightsError as error:
        place = recipe.place(('network', 'weights'))
        raise RecipeError(f'{place}: {error}') from None
    stated = stated_normalisation(weights)
    if stated is not None and not _same(stages.task.input, stated):
        mean, std = ([*values] for values in stated)
        place = recipe.place(('network', 'weights'))
        stages.reporter.warn(
            f'{place}: {weights.name} was trained with mean {mean} and std {std}, but the data '
            f'is normalised with {[*stages.task.input.mean]} and {[*stages.task.input.std]}; set '
            'data.mean and data.std'
        )


def _same(spec: InputSpec, stated: tuple[tuple[float, ...], tuple[float, ...]]) -> bool:
    """Whether pictures are normalised as stated; one number stands for all channels."""
    for own, other in zip((spec.mean, spec.std), stated, strict=True):
        wanted = other * len(own) if len(other) == 1 else other
        if len(wanted) != len(own):
            return False
        if any(abs(a - b) > 5e-3 for a, b in zip(own, wanted, strict=True)):
            return False
    return True


def dense_network(stages: Stages, model: nn.Module, graph: ChannelGraph) -> BuiltLevel:
    """Train the dense network, or find it trained."""
    recipe = stages.recipe
    stage = ('dense', base_key(recipe, stages.task))
    found = stages.found(stage)
    if found is not None:
        return found
    start_weights(stages, model)
    stages.train(model, Training('training the dense network', stage, recipe.train, order=0))
    macs = round(graph.cost().macs)
    return stages.finish(stage, model, NOTHING_CUT, macs=(macs, macs))
