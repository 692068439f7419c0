# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Leftovers of killed writers go, those of living ones stay; facts survive being written."""

from __future__ import annotations

import os
import time
from pathlib import Path

from uav_prune_perception.export.engine_file import EngineFacts
from uav_prune_perception.export.ladder_export import discard_leftovers, package_versions
from uav_prune_perception.ladder import Accuracy


def test_only_old_leftovers_of_this_ladder_go(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in (
        '.scenes.partial-old', '.scenes.partial-new', '.other.partial-old', 'scenes'
    )}
    for folder in folders.values():
        folder.mkdir()
        (folder / 'file').write_text('x')
    for name in ('.scenes.partial-old', '.other.partial-old', 'scenes'):
        os.utime(folders[name], (time.time() - 3600,) * 2)
    discard_leftovers(tmp_path / 'scenes')
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        '.other.partial-old', '.scenes.partial-new', 'scenes'
    ]
    discard_leftovers(tmp_path / 'no folder yet' / 'scenes')


def test_facts_of_an_engine_come_back_as_they_were() -> None:
    facts = EngineFacts(Accuracy('mAP50', 0.5, 'test', 9, {'car': 0.5}), 1e-6, 7, 17)
    assert EngineFacts.from_document(facts.document()) == facts


def test_the_versions_that_decide_the_result_are_named() -> None:
    assert {'torch', 'onnx', 'onnxruntime', 'uav_prune_perception'} <= set(package_versions())
