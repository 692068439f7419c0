# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a ladder says: plain frozen dataclasses, one for each object of ``ladder.schema.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

FORMAT = 'uav_prune_perception/ladder'
SCHEMA_VERSION = 2
READABLE_VERSIONS = (1, 2)  # 2 added variants and what a profile notes besides the latency
DOCUMENT = 'ladder.json'

Task = Literal['detection', 'classification']
Color = Literal['rgb', 'bgr', 'gray']
# int8 is for processors (unsigned activations), int8_symmetric for TensorRT.
Precision = Literal['fp32', 'fp16', 'int8', 'int8_symmetric']
PRECISIONS: tuple[Precision, ...] = ('fp32', 'fp16', 'int8', 'int8_symmetric')


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

    Attributes:
        score_threshold: of every class that ``class_thresholds`` does not name.
        class_thresholds: by class name; None = none has one of its own.
    """

    score_threshold: float = 0.25
    iou_threshold: float = 0.5
    class_aware_nms: bool = True
    max_detections: int = 300
    box_format: Literal['xyxy', 'cxcywh'] = 'xyxy'
    tensor: str = 'predictions'
    class_thresholds: Mapping[str, float] | None = None
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
    """A measured accuracy in 0..1 on ``n`` images of ``split``.

    Attributes:
        metric: by which levels are compared.
        value: of the metric.
        split: of the data.
        n: its images.
        per_class: the metric of each class.
        figures: further ones in 0..1 by name, such as ``mAP50_small`` or ``recall``.
    """

    metric: Literal['mAP50', 'mAP50-95', 'top1']
    value: float
    split: str
    n: int
    per_class: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class DeviceProfile:
    """Measured cost of one frame's inference on one device; None = could not be measured.

    Attributes:
        engine: library, version, precision and threads, in words.
        n: timed inferences.
        latency_ms_p50: milliseconds of one inference, likewise ``p95`` and ``p99``.
        energy_j: of the whole module (or, by RAPL, of the processor), idle share included.
        power_w: mean while this level ran without pause.
        throughput_hz: inferences per second without pause.
        memory_mib: by which the process grew when the engine was loaded and warmed up.
        temperature_c: of the chip at the end.
        clock_mhz: of the cores (or the GPU) at the end, as the kernel believes.
        measured: UTC, ISO 8601.
    """

    engine: str
    n: int
    latency_ms_p50: float
    latency_ms_p95: float
    latency_ms_p99: float
    energy_j: float | None = None
    power_w: float | None = None
    throughput_hz: float | None = None
    memory_mib: float | None = None
    temperature_c: float | None = None
    clock_mhz: float | None = None
    measured: str | None = None


@dataclass(frozen=True)
class LevelFile:
    """One file of a level: path relative to the ladder folder, checksum, size."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Variant:
    """A level's network in another precision: a file of its own, judged as that file.

    Attributes:
        file: its name among the level's files.
        accuracy: of this file, measured like the level's.
        profiles: by device name.
    """

    file: str
    accuracy: Accuracy
    profiles: dict[str, DeviceProfile] = field(default_factory=dict)


@dataclass(frozen=True)
class Level:
    """One rung: the same network at one pruning level.

    ``accuracy``, ``profiles`` and ``model.onnx`` are those of fp32; other precisions are
    ``variants``, and `precision` gives any of them.
    """

    name: str
    kept_macs: float
    macs: int
    params: int
    accuracy: Accuracy
    files: dict[str, LevelFile]
    profiles: dict[str, DeviceProfile] = field(default_factory=dict)
    variants: dict[str, Variant] = field(default_factory=dict)

    @property
    def precisions(self) -> tuple[str, ...]:
        """What this level can be run in, fp32 first."""
        return ('fp32', *(name for name in PRECISIONS if name in self.variants))

    def precision(self, name: str) -> Variant:
        """File, accuracy and profiles of a precision.

        Raises:
            LadderError: the level has no such variant.
        """
        if name == 'fp32':
            return Variant('model.onnx', self.accuracy, self.profiles)
        if name not in self.variants:
            raise LadderError(
                f'level "{self.name}" has no {name} variant, only {", ".join(self.precisions)}; '
                f'add it by export.precisions in the recipe'
            )
        return self.variants[name]


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

    def remarks(self) -> list[str]:
        """What was odd about its levels' answers when they were judged, a line each."""
        known = self.provenance.get('evaluation', {})
        return [
            f'level {level.name}: {line}'
            for level in self.levels for line in known.get(level.name, {}).get('remarks', ())
        ]
