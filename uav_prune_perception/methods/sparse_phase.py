# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Regularised training of the dense network, once for all levels."""

from __future__ import annotations

import copy
import dataclasses

from uav_prune_perception.training.recalibrate import recalibrate_batchnorm

from .interfaces import LevelContext, SparseTraining
from .run_folder import fingerprint
from .stages import NOTHING_CUT, BuiltLevel, Stages, Training, deciding

# Levels are numbered from 1 on; no ladder has so many.
ORDER = 900


def sparse_network(
    stages: Stages, slot: SparseTraining, dense: BuiltLevel, context: LevelContext
) -> BuiltLevel:
    """What the levels are cut from: the dense network after sparse training.

    Args:
        stages: of the job.
        slot: the method's.
        dense: the trained dense network, which stays as it is.
        context: of the phase; its model is replaced by the one that is trained.
    """
    recipe = stages.recipe
    assert recipe.sparse is not None, 'checked with the method'
    decides = {'method', 'options', 'keep', 'recalibrate_batches'}
    settings = recipe.prune.model_dump(mode='json', include=decides)
    stage = ('sparse', fingerprint(dense.key, settings, deciding(recipe.sparse)))
    found = stages.found(stage)
    if found is not None:
        return found
    model = copy.deepcopy(dense.model)
    hook = slot.begin(dataclasses.replace(context, model=model))
    stages.train(
        model, Training('sparse training', stage, recipe.sparse, order=ORDER), hooks=[hook]
    )
    # A short run leaves BatchNorm's averages behind; all that follows looks at this network
    batches = stages.task.calibration_batches(recipe.prune.recalibrate_batches)
    recalibrate_batchnorm(model, batches)
    return stages.finish(stage, model, NOTHING_CUT, macs=(dense.macs, dense.macs))
