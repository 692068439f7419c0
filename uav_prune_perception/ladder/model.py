# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a ladder says: plain frozen dataclasses, one for each object of ``ladder.schema.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

FORMAT = 'uav_prune_perception/ladder'
SCHEMA_VERSION = 1
DOCUMENT = 'ladder.json'

Task = Literal['detection', 'classification']
Color = Literal['rgb', 'bgr', 'gray']


class LadderError(ValueError):
    """A ladder is missing, damaged, or not what it claims to be. One line, ready to print."""


@dataclass(frozen=True)
class InputSpec:
    """The one input tensor: float32 [1, channels, height, width], (pixel / 255 - mean) / std.

    ``mean`` and ``std`` have one number per channel, on the 0..1 scale. ``letterbox`` keeps the
    aspect ratio and pads with ``pad_value`` (0..255, before normalisation) on both sides.
    """

    width: int
    height: int
    color: Color = 'rgb'
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    resize: Literal['letterbox', 'stretch'] = 'letterbox'
    pad_value: int = 114
    tensor: str = 'images'

    @property
    def channels(self) -> int:
        """1 for gray, else 3."""
        return 1 if self.color == 'gray' else 3


@dataclass(frozen=True)
class BoxesScores:
    """Detector output: float32 [1, 4 + classes, candidates].

    Box in input pixels, then one probability per class.
    """

    score_threshold: float = 0.25
    iou_threshold: float = 0.5
    class_aware_nms: bool = True
    max_detections: int = 300
    box_format: Literal['xyxy', 'cxcywh'] = 'xyxy'
    tensor: str = 'predictions'
    kind: Literal['boxes_scores'] = 'boxes_scores'


@dataclass(frozen=True)
class Logits:
    """Classifier output: float32 [1, classes]; softmax gives the scores."""

    top_k: int = 5
    tensor: str = 'logits'
    kind: Literal['logits'] = 'logits'


DecodeSpec = BoxesScores | Logits


@dataclass(frozen=True)
class Accuracy:
    """A measured accuracy in 0..1 on ``n`` images of ``split``."""

    metric: Literal['mAP50', 'mAP50-95', 'top1']
    value: float
    split: str
    n: int
    per_class: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class DeviceProfile:
    """Measured cost of one frame's inference on one device, in milliseconds (and joules)."""

    engine: str
    n: int
    latency_ms_p50: float
    latency_ms_p95: float
    latency_ms_p99: float
    energy_j: float | None = None


@dataclass(frozen=True)
class LevelFile:
    """One file of a level: path relative to the ladder folder, checksum, size."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Level:
    """One rung: the same network at one pruning level."""

    name: str
    kept_macs: float
    macs: int
    params: int
    accuracy: Accuracy
    files: dict[str, LevelFile]
    profiles: dict[str, DeviceProfile] = field(default_factory=dict)


@dataclass(frozen=True)
class Ladder:
    """A whole ladder; ``levels[0]`` is the heaviest and most accurate."""

    name: str
    task: Task
    classes: tuple[str, ...]
    input: InputSpec
    decode: DecodeSpec
    provenance: dict[str, Any]
    levels: tuple[Level, ...]
    folder: Path = field(default=Path(), compare=False)

    def file(self, level: Level, kind: str = 'model.onnx') -> Path:
        """Absolute path of a level's file.

        Raises:
            LadderError: the level has no such file.
        """
        if kind not in level.files:
            there = ', '.join(level.files)
            raise LadderError(f'{self.folder}: level "{level.name}" has no {kind}, only {there}')
        return self.folder / level.files[kind].path

    def level(self, name: str) -> Level:
        """The level called ``name``.

        Raises:
            LadderError: no level has that name.
        """
        for level in self.levels:
            if level.name == name:
                return level
        names = ', '.join(level.name for level in self.levels)
        raise LadderError(f'{self.folder}: no level "{name}"; there are {names}')
