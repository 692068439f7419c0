# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Before the first cut: does the network fit the data, and what is the dense network?"""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from uav_prune_perception.channels import ChannelGraph
from uav_prune_perception.export.verification import BOX_ROWS
from uav_prune_perception.ladder import Accuracy, InputSpec
from uav_prune_perception.networks.weights import (
    Origin,
    WeightsError,
    load_weights,
    stated_normalisation,
)
from uav_prune_perception.training.detection_task import NOT_DISTILLED, DetectionTask
from uav_prune_perception.training.recalibrate import recalibrate_batchnorm
from uav_prune_perception.training.task import LearningTask

from .interfaces import Reporter
from .recipe import Recipe
from .recipe_source import RecipeError
from .stages import NOTHING_CUT, BuiltLevel, Stages, Training, base_key

ROUNDING = 1e-3
STRIDES = (8, 16, 32, 64)  # of which sides that a network asks for are multiples
SETTLED = 0.01  # of what BatchNorm's averages began with may be left
UNSEEN = 0.01  # of a class's average precision
BATCHES = 10  # else they are renewed on so many
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
    output, reason = _answer(model, example)
    found = tuple(output.shape) if isinstance(output, Tensor) else ()
    rank, rows = (3, 4 + classes) if detection else (2, classes)
    if isinstance(output, Tensor) and len(found) == rank and found[1] == rows and found[-1]:
        if detection:
            _check_distillation(recipe, model)
            _check_answer(stages, output)
        return
    wanted = f'[1, {rows}, candidates]' if detection else f'[1, {rows}]'
    if not found and example.shape[1] == 1:
        reason += '; the pictures are grey: let it take 1 channel, or set data.channels: 3'
    given = 'an error' if output is None else list(found) if found else type(output).__name__
    raise RecipeError(
        f'{recipe.place(("network",))}: network {recipe.network.name} does not fit '
        f'the {task.kind} data: for pictures {list(example.shape)} it gives '
        f'{given}{reason}, wanted {wanted}'
    )


def _answer(model: nn.Module, example: Tensor) -> tuple[Any, str]:
    """What the network gives, or None and why."""
    try:
        with torch.no_grad():
            return model(example), ''
    except Exception as error:  # the user's code may raise anything
        reason = f' ({" ".join(str(error).split())[:160]})'
    height, width = example.shape[2:]
    for step in STRIDES:
        sides = [-(-side // step) * step for side in (height, width)]
        with contextlib.suppress(Exception), torch.no_grad():
            model(example.new_zeros(1, example.shape[1], *sides))
            return None, f'{reason}; data.width: {sides[1]} and data.height: {sides[0]} would do'
    return None, reason


def _check_answer(stages: Stages, output: Tensor) -> None:
    """Scores are probabilities, boxes corners in pixels.

    Raises:
        RecipeError: scores beyond 0 and 1.
    """
    recipe, spec = stages.recipe, stages.task.input
    place, name = recipe.place(('network',)), recipe.network.name
    scores, corners = output[:, BOX_ROWS:], output[:, :BOX_ROWS]
    low, high = float(scores.min()), float(scores.max())
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise RecipeError(
            f'{place}: network {name}: its scores lie from {low:.3g} to {high:.3g}, wanted 0 to '
            '1; apply sigmoid (or softmax, and leave the background out) in evaluation mode'
        )
    if max(spec.width, spec.height) >= 32 and float(corners.abs().max()) <= 2:
        stages.reporter.warn(
            f'{place}: network {name}: all corners lie within 2 pixels of the origin; wanted are '
            'pixels of the input, not fractions of it'
        )
    turned = (corners[:, 2:] < corners[:, :2]).any(dim=1).float().mean()
    if float(turned) > 0.5:
        stages.reporter.warn(
            f'{place}: network {name}: of {float(turned):.0%} of the boxes the second corner lies '
            'before the first; wanted are x1, y1, x2, y2, not centre and size'
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


def start_weights(recipe: Recipe, model: nn.Module) -> None:
    """Load what the recipe's network starts from, if anything.

    Raises:
        RecipeError: the file does not fit.
    """
    weights = recipe.network.weights
    if weights is None:
        return
    try:
        load_weights(model, weights, strict=recipe.train.epochs == 0)
    except WeightsError as error:
        place = recipe.place(('network', 'weights'))
        raise RecipeError(f'{place}: {error}') from None


def check_start(stages: Stages, model: nn.Module) -> None:
    """Say where weights are used on other data than they were trained on, in every run.

    Raises:
        RecipeError: parts of what they were trained for are made anew, and nothing is learnt.
    """
    recipe = stages.recipe
    origin = getattr(model, 'origin', None)
    if isinstance(origin, Origin):
        _check_origin(stages, origin)
    weights = recipe.network.weights
    if weights is None:
        return
    stated = stated_normalisation(weights)
    if stated is not None:
        _tell_normalisation(stages, recipe.place(('network', 'weights')), weights.name, stated)


def _check_origin(stages: Stages, origin: Origin) -> None:
    """A network that brings its weights along is of this data.

    Raises:
        RecipeError: parts of it are made anew, and nothing is to be learnt.
    """
    task, place = stages.task, stages.recipe.place(('network', 'options'))
    known = len(origin.classes), origin.channels
    wanted = len(task.classes), task.input.channels
    if known != wanted and stages.recipe.train.epochs == 0:
        raise RecipeError(
            f'{place}: {origin.file} was trained for {known[0]} classes and {known[1]} channels, '
            f'the data has {wanted[0]} and {wanted[1]}; what does not fit is made anew and must '
            'learn: set train.epochs above 0'
        )
    if known[0] == wanted[0] and origin.classes != task.classes:
        stages.reporter.warn(
            f'{place}: {origin.file} finds {", ".join(origin.classes)}, but the classes of the '
            f'data are {", ".join(task.classes)}; set data.classes in its order'
        )
    _tell_normalisation(stages, place, origin.file, (origin.mean, origin.std))


def _tell_normalisation(
    stages: Stages, place: str, file: str, stated: tuple[tuple[float, ...], tuple[float, ...]]
) -> None:
    spec = stages.task.input
    if _same(spec, stated):
        return
    mean, std = ([*values] for values in stated)
    stages.reporter.warn(
        f'{place}: {file} was trained with mean {mean} and std {std}, but the data is '
        f'normalised with {[*spec.mean]} and {[*spec.std]}; set data.mean and data.std'
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
    if found is None:
        start_weights(recipe, model)
    check_start(stages, model)
    if found is not None:
        tell_unseen(stages.task, found.val, stages.reporter)
        return found
    stages.train(model, Training('training the dense network', stage, recipe.train, order=0))
    steps = recipe.train.epochs * stages.task.steps_per_epoch(recipe.train.batch_size)
    if recipe.network.weights is None and steps and leftover(model, steps) > SETTLED:
        # Else a first try of few pictures is judged, cut and fitted by averages that are not its
        recalibrate_batchnorm(model, stages.task.calibration_batches(BATCHES))
    macs = round(graph.cost().macs)
    built = stages.finish(stage, model, NOTHING_CUT, macs=(macs, macs))
    tell_unseen(stages.task, built.val, stages.reporter)
    return built


def tell_unseen(task: LearningTask, val: Accuracy, reporter: Reporter) -> None:
    """Name the classes that a trained detector never finds: no level of it ever will."""
    if not isinstance(task, DetectionTask) or val.value < UNSEEN:  # it finds nothing yet
        return
    labels = task.data.split('train').labels
    mend = 'longer training, a larger input or more pictures of it may help' if (
        task.repeat_threshold
    ) else 'data.repeat_threshold: 0.5 shows pictures of rare classes more often'
    for name, value in val.per_class.items():
        if value < UNSEEN:
            own = task.classes.index(name)
            count = sum(own in each for each in labels)
            reporter.warn(
                f'dense: finds no {name} ({val.metric} {value:.4f} on val; it is in {count} of '
                f'{len(labels)} training pictures), nor will its levels; {mend}'
            )


def leftover(model: nn.Module, steps: int) -> float:
    """How much of what BatchNorm's averages began with is in them after so many steps, 0..1."""
    momenta = [
        module.momentum for module in model.modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats
        and module.momentum is not None
    ]
    return max(((1 - momentum) ** steps for momentum in momenta), default=0.0)
