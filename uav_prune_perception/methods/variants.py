# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The levels of a job in the precisions that its recipe asks for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uav_prune_perception.export.engine_file import MODEL
from uav_prune_perception.export.ladder_export import ExportedLevel
from uav_prune_perception.export.precision import CALIBRATION_PICTURES
from uav_prune_perception.export.variant_file import (
    VariantFacts,
    make_variant_file,
    variant_name,
)
from uav_prune_perception.ladder import Variant
from uav_prune_perception.training.task import LearningTask

from .driver import BuiltLevel
from .interfaces import Reporter
from .recipe import Recipe
from .run_folder import RunFolder, fingerprint


@dataclass(frozen=True)
class VariantMaker:
    """Makes the variants of a job's levels, or finds them made."""

    recipe: Recipe
    task: LearningTask
    run: RunFolder
    reporter: Reporter

    def add(self, exported: ExportedLevel, level: BuiltLevel) -> ExportedLevel:
        """The level with those of ``export.precisions`` that lose no more than is allowed.

        Raises:
            ExportError: a file cannot be written.
        """
        files, variants = dict(exported.files), dict(exported.variants)
        for precision in self.recipe.export.precisions:
            if precision == 'fp32':
                continue
            stage, facts = self._made(exported, level, precision)
            text = f'{level.name}: {precision}: {facts.val.metric} {facts.val.value:.4f} on val'
            if facts.accuracy is None:
                self.reporter.warn(
                    f'{text}, fp32 has {level.val.value:.4f}: refused, the recipe allows a drop '
                    f'of {self.recipe.export.max_accuracy_drop:g} (export.max_accuracy_drop)'
                )
                continue
            self.reporter.note(
                f'{text}; {facts.accuracy.value:.4f} on test '
                f'(fp32 {exported.accuracy.value:.4f})'
            )
            name = variant_name(precision)
            files[name] = stage / name
            variants[precision] = Variant(name, facts.accuracy)
        return dataclasses.replace(exported, files=files, variants=variants)

    def _made(
        self, exported: ExportedLevel, level: BuiltLevel, precision: str
    ) -> tuple[Path, VariantFacts]:
        settings, source = self.recipe.export, exported.files[MODEL]
        least = level.val.value - settings.max_accuracy_drop
        key = fingerprint(level.key, settings.opset, precision, least, CALIBRATION_PICTURES)
        name = f'{precision}-{level.name}'
        self.reporter.phase(f'{level.name}: {precision}, val and test accuracy', 1)
        stage = self.run.stage(name, key)
        if stage is None:

            def write(folder: Path) -> dict[str, Any]:
                facts = make_variant_file(
                    source, self.task, folder, precision, least_val=least
                )
                return facts.document()

            stage = self.run.finish(name, key, write)
        return stage, VariantFacts.from_document(self.run.facts(stage))
