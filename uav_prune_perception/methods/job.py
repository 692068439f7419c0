# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""From a recipe to a ladder: the whole job, stage by stage, each found again by the next run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uav_prune_perception.datasets.detection_set import DatasetError
from uav_prune_perception.export.engine_file import MODEL, EngineFacts, make_engine_file
from uav_prune_perception.export.ladder_export import ExportedLevel, write_ladder
from uav_prune_perception.export.onnx_export import ExportError
from uav_prune_perception.export.profiling import profile_levels
from uav_prune_perception.export.width_curve import BLOCK
from uav_prune_perception.ladder import DeviceProfile, Ladder, open_ladder
from uav_prune_perception.ladder.writer import check_target
from uav_prune_perception.onboard.profiling import slower_levels
from uav_prune_perception.onboard.profiling.ladder import faults
from uav_prune_perception.onboard.telemetry.machine import device_name
from uav_prune_perception.training.detection_task import DetectionTask
from uav_prune_perception.training.ranks import ALONE, Ranks
from uav_prune_perception.training.task import LearningTask
from uav_prune_perception.training.task_factory import make_task

from .driver import Driver
from .interfaces import MethodError, Reporter
from .recipe import Recipe
from .recipe_source import KeyPath, RecipeError
from .registry import make_method
from .run_folder import RunFolder, fingerprint
from .stages import BuiltLevel, base_key
from .variants import VariantMaker

RUNS = '.uav_prune'


def prune(
    recipe: Recipe,
    output: str | Path,
    reporter: Reporter,
    *,
    run_folder: str | Path | None = None,
    fresh: bool = False,
    overwrite: bool = False,
    ranks: Ranks = ALONE,
    tensorboard: bool = False,
) -> Ladder:
    """Do all that a recipe asks.

    Args:
        recipe: the job.
        output: the ladder folder to write.
        reporter: is told how it goes.
        run_folder: where finished stages lie; None: ``.uav_prune/<recipe>-<hash>`` beside
            ``output``.
        fresh: forget what earlier runs have finished.
        overwrite: replace an existing ladder.
        ranks: processes that each call this with the same arguments and see the same folders;
            they learn and search together, and the first does the rest.
        tensorboard: write curves for TensorBoard into the run folder.

    Raises:
        LadderError, RecipeError, MethodError, ChannelError: bad input, found as early as it can
            be.
        TrainingError, ExportError, RunFolderError: something failed on the way; what was
            finished is kept.
    """
    target = Path(output).expanduser().absolute()
    check_target(target, overwrite=overwrite)
    method = make_method(recipe)
    task = open_task(recipe, reporter)
    task.test_reads.limit = len(recipe.prune.levels) * len(recipe.export.precisions)
    key = base_key(recipe, task)
    folder = Path(run_folder) if run_folder else target.parent / RUNS / f'{recipe.name}-{key}'
    with RunFolder(folder, fresh=fresh, ranks=ranks, tensorboard=tensorboard) as run:
        run.log.begin(recipe.document(), ranks.size)
        levels = Driver(recipe, method, task, run, reporter).build()
        if ranks.first:
            run.ranks = ALONE  # what is left is no work for several
            _write(levels, recipe, task, run, reporter, target=target, overwrite=overwrite)
        ranks.wait()
    return open_ladder(target)


def _write(
    levels: Sequence[BuiltLevel], recipe: Recipe, task: LearningTask, run: RunFolder,
    reporter: Reporter, *, target: Path, overwrite: bool,
) -> None:
    variants = VariantMaker(recipe, task, run, reporter)
    exported = [
        variants.add(_export(level, recipe, task, run, reporter), level) for level in levels
    ]
    profiles = _profiled(exported, recipe, reporter)
    reporter.phase('writing the ladder', 1)
    write_ladder(
        target, exported, name=recipe.name, task=task, method=recipe.prune.method,
        seed=recipe.seed, recipe=recipe.document(), device=device_name(),
        profiles=profiles, training=run.log.curves(run.asked), overwrite=overwrite,
    )


def _profiled(
    exported: Sequence[ExportedLevel], recipe: Recipe, reporter: Reporter
) -> dict[tuple[str, str], DeviceProfile]:
    """Measured by (level, precision), all taking turns; those that ONNX Runtime flies.

    Raises:
        MethodError: a level is not faster than the one above, and the recipe insists.
    """
    settings = recipe.export
    reporter.phase('measuring latency, levels taking turns', settings.profile_runs)
    pairs = [
        (level, precision)
        for precision in ('fp32', 'int8')
        for level in exported
        if precision == 'fp32' or precision in level.variants
    ]
    measured = profile_levels(
        {f'{level.name} {p}': level.files[MODEL if p == 'fp32' else level.variants[p].file]
         for level, p in pairs},
        runs=settings.profile_runs, threads=settings.threads,
        precisions={f'{level.name} {p}': p for level, p in pairs},
        progress=lambda done, total: reporter.step(done, f'round {done} of {total}'),
    )
    profiles: dict[str, dict[str, DeviceProfile]] = {}
    for level, precision in pairs:
        found = measured[f'{level.name} {precision}']
        profiles.setdefault(precision, {})[level.name] = found
    slower = slower_levels(profiles['fp32'])
    if slower and settings.require_faster:
        raise MethodError(
            f'{recipe.place(("export", "require_faster"))}: {slower[0]}; ask for a smaller '
            'kept_macs, a larger prune.round_to, or say require_faster: false'
        )
    for line in faults(profiles):
        reporter.warn(line)
    widths = recipe.prune.round_to
    if slower and widths != 'auto' and widths % BLOCK:
        reporter.warn(
            f'the engine computes channels in blocks of {BLOCK}, and widths between two multiples '
            f'gain nothing: --set prune.round_to=auto (now {widths})'
        )
    return {(name, p): profile for p, found in profiles.items() for name, profile in found.items()}


def open_task(recipe: Recipe, reporter: Reporter) -> LearningTask:
    """The data of a recipe, ready to learn from.

    Raises:
        RecipeError: a key of ``data`` is wrong, or the data is missing or damaged; names the
            line.
    """
    reporter.phase(f'loading data: {recipe.data.get("kind", "no kind given")}', 1)
    try:
        task = make_task(recipe.data)
    except DatasetError as error:
        match = re.match(r'(data(?:\.\w+)+): ', str(error))
        path: KeyPath = tuple(match.group(1).split('.')) if match else ('data', 'root')
        raise RecipeError(f'{recipe.place(path)}: {error}') from None
    except (TypeError, ValueError) as error:
        if type(error) not in (TypeError, ValueError):
            raise
        # A value of the wrong kind, such as a text for a number, fails inside the reader.
        raise RecipeError(f'{recipe.place(("data",))}: data: {error}') from None
    task = _with_postprocessing(task, recipe)
    size = f'{task.input.width}x{task.input.height} {task.input.color}'
    reporter.note(f'data: {task.kind}, {len(task.classes)} classes, pictures {size}')
    return task


def _with_postprocessing(task: LearningTask, recipe: Recipe) -> LearningTask:
    """The task with the recipe's thresholds in its ladder.

    Raises:
        RecipeError: the task finds no boxes, or a class is unknown.
    """
    section = recipe.postprocess
    if section is None:
        return task
    if not isinstance(task, DetectionTask):
        place = recipe.place(('postprocess',))
        raise RecipeError(f'{place}: postprocess: is for detectors, the task is {task.kind}')
    for name in section.class_thresholds:
        if name not in task.classes:
            place = recipe.place(('postprocess', 'class_thresholds', name))
            known = ', '.join(task.classes)
            raise RecipeError(
                f'{place}: postprocess.class_thresholds: no class "{name}"; there are {known}'
            )
    changes = section.model_dump()
    return task.with_decode(**{**changes, 'class_thresholds': section.class_thresholds or None})


def _export(
    level: BuiltLevel, recipe: Recipe, task: LearningTask, run: RunFolder, reporter: Reporter
) -> ExportedLevel:
    settings = recipe.export
    key = fingerprint(level.key, settings.opset, settings.tolerance)
    name = f'engine-{level.name}'
    reporter.phase(f'{level.name}: ONNX, proof, test accuracy', 1)
    stage = run.stage(name, key)
    if stage is None:

        def write(folder: Path) -> dict[str, Any]:
            try:
                facts = make_engine_file(
                    level.model, task, folder, opset=settings.opset, tolerance=settings.tolerance
                )
            except ExportError as error:
                text = str(error).replace(f'{folder}/', '')  # which is gone in a moment
                raise ExportError(f'level {level.name}: {text}') from None
            return facts.document()

        stage = run.finish(name, key, write)
    facts = EngineFacts.from_document(run.facts(stage))
    accuracy = facts.accuracy
    reporter.note(
        f'{level.name}: ONNX equals torch within {facts.relative_error:.1e} on '
        f'{facts.compared_on} inputs; {accuracy.metric} {accuracy.value:.4f} on '
        f'{accuracy.split} (n = {accuracy.n})'
    )
    for line in facts.details.get('remarks', ()):
        reporter.warn(f'{level.name}: {line}')
    return ExportedLevel(
        level.name, level.macs, level.kept_macs, level.params, accuracy,
        {MODEL: stage / MODEL, **level.files}, details=facts.details,
    )
