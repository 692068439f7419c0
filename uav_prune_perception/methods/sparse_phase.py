# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Regularised training of the dense network, once for all levels."""

from __future__ import annotations

import copy
import dataclasses

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
    settings = recipe.prune.model_dump(mode='json', include={'method', 'options', 'keep'})
    stage = ('sparse', fingerprint(dense.key, settings, deciding(recipe.sparse)))
    found = stages.found(stage)
    if found is not None:
        return found
    model = copy.deepcopy(dense.model)
    hook = slot.begin(dataclasses.replace(context, model=model))
    stages.train(
        model, Training('sparse training', stage, recipe.sparse, order=ORDER), hooks=[hook]
    )
    return stages.finish(stage, model, NOTHING_CUT, macs=(dense.macs, dense.macs))
