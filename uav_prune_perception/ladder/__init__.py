# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The contract between workstation and drone: what a ladder is, and how it is kept whole."""

from .model import (
    PRECISIONS,
    Accuracy,
    BoxesScores,
    DecodeSpec,
    DeviceProfile,
    InputSpec,
    Ladder,
    LadderError,
    Level,
    LevelFile,
    Logits,
    Variant,
)
from .reader import open_ladder
from .writer import LadderWriter, add_profiles, reseal

__all__ = [
    'PRECISIONS', 'Accuracy', 'BoxesScores', 'DecodeSpec', 'DeviceProfile', 'InputSpec', 'Ladder',
    'LadderError', 'LadderWriter', 'Level', 'LevelFile', 'Logits', 'Variant', 'add_profiles',
    'open_ladder', 'reseal',
]
