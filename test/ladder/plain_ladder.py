# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A ladder without models, quick to write: the contract does not look into its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uav_prune_perception.ladder import (
    Accuracy,
    BoxesScores,
    DeviceProfile,
    InputSpec,
    Ladder,
    LadderWriter,
)

PROVENANCE: dict[str, Any] = {
    'created': '2026-01-01T00:00:00Z', 'method': 'l1', 'seed': 3, 'recipe': {'epochs': 2},
    'data_sha256': '0' * 64, 'packages': {'torch': '2.6'},
}


def writer(folder: Path, **changes: Any) -> LadderWriter:
    arguments: dict[str, Any] = {
        'name': 'plain', 'task': 'detection', 'classes': ('Mensch', 'Auto', '鸟'),
        'input': InputSpec(320, 256, mean=(0.1, 0.2, 0.3)), 'decode': BoxesScores(),
        'provenance': PROVENANCE,
    }
    return LadderWriter(folder, **{**arguments, **changes})


def add_level(opened: LadderWriter, name: str, content: bytes = b'model', **changes: Any) -> None:
    folder = opened.level_folder(name)
    (folder / 'model.onnx').write_bytes(content + name.encode())
    (folder / 'plan.json').write_text('{}')
    arguments: dict[str, Any] = {
        'kept_macs': int(name) / 100, 'macs': int(name) * 1000, 'params': int(name),
        'accuracy': Accuracy('mAP50', 0.5, 'test', 100, {'Auto': 0.75}),
        'profiles': {'here': DeviceProfile('onnxruntime', 9, 1.5, 2.0, 2.5, 0.01)},
    }
    opened.add_level(name, **{**arguments, **changes})


def write(folder: Path, content: bytes = b'model', **changes: Any) -> Ladder:
    with writer(folder, **changes) as opened:
        add_level(opened, '100', content)
        add_level(opened, '50', content)
        opened.add_report('report.md', '# report\n')
        return opened.commit()
