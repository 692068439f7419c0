# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The recipe's ``postprocess`` section: what the ladder does with boxes by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_job import RECIPE, Quiet, pictures

from uav_prune_perception.ladder import BoxesScores
from uav_prune_perception.methods.job import open_task
from uav_prune_perception.methods.recipe import load_recipe
from uav_prune_perception.methods.recipe_source import RecipeError

SECTION = 'postprocess: {score_threshold: 0.4, class_thresholds: {person: 0.2}, '\
          'class_aware_nms: false, max_detections: 50}\n'


def decode_of(folder: Path, text: str) -> object:
    path = folder / 'recipe.yaml'
    path.write_text(text)
    return open_task(load_recipe(path), Quiet()).decode


def test_thresholds_go_into_the_ladder(tmp_path: Path) -> None:
    assert decode_of(tmp_path, RECIPE) == BoxesScores()
    assert decode_of(tmp_path, RECIPE + SECTION) == BoxesScores(
        score_threshold=0.4, class_thresholds={'person': 0.2}, class_aware_nms=False,
        max_detections=50,
    )


@pytest.mark.parametrize(('section', 'reason'), [
    ('{class_thresholds: {zebra: 0.2}}', 'no class "zebra"; there are'),
    ('{class_thresholds: {person: 2}}', 'person: input should be less than or equal to 1'),
    ('{score_treshold: 0.2}', 'did you mean "score_threshold"'),
    ('{max_detections: 0}', 'max_detections: input should be greater'),
])
def test_what_cannot_be_is_named_with_its_line(
    tmp_path: Path, section: str, reason: str
) -> None:
    line = RECIPE.count('\n') + 1
    with pytest.raises(RecipeError, match=rf'recipe.yaml:{line}: .*{reason}'):
        decode_of(tmp_path, RECIPE + f'postprocess: {section}\n')


def test_a_classifier_has_no_boxes(tmp_path: Path) -> None:
    data = f'data: {{kind: image_folder, root: "{pictures(tmp_path)}", width: 16, height: 16}}'
    text = RECIPE.replace(RECIPE.splitlines()[1], data) + SECTION
    with pytest.raises(RecipeError, match='postprocess: is for detectors'):
        decode_of(tmp_path, text)
