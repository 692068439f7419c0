# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What can be changed on a running pipeline."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .level_bank import AUTO, RESIDENT
from .tiles import Tiling


@dataclass(frozen=True)
class PipelineOptions:
    """Settings of a pipeline.

    They apply from the next frame on, but for ``threads``, ``engine``, ``precision``,
    ``resident`` and ``device``.

    Attributes:
        max_image_age_s: frames older than this when their turn comes are dropped as stale;
            0 = off.
        score_threshold: 0..1 in place of the ladder's own, those of its classes included; None =
            the ladder's.
        class_thresholds: 0..1 by class name, in place of all others for these classes.
        iou_threshold: 0..1 for NMS in place of the ladder's own; None = the ladder's.
        class_aware_nms: boxes compete within their class only; None = as the ladder says.
        max_detections: of one picture, at least 1; None = the ladder's.
        class_filter: names of the only classes to report; empty = all.
        tiling: how large pictures are cut into tiles, for detectors; None = not at all. Every
            tile is one run of the engine.
        threads: of the inference engine; 0 = its own choice. Read by `Pipeline.load` only.
        engine: which engine flies; see `engines.selection.choose_engines`. Read by
            `Pipeline.load` only, like the next.
        precision: of the levels' files, or 'auto'.
        control_period_s: the worker runs the policy itself when nobody has called
            `Pipeline.control` for this long; 0 = never.
        resident: which levels are kept in memory: 'all', 'neighbours' (the running one, the ones
            beside it, the lightest), or 'auto': all where there is room. Read by `Pipeline.load`.
        device: whose profiles in the ladder are this machine's; '' = `device_name`'s. Read once.
        cuda_graph: see `engines.selection.choose_engines`; read by `Pipeline.load`, like the next.
        allow_build: plans that TensorRT lacks are built in the background, for the next `load`.
    """

    max_image_age_s: float = 0.0
    score_threshold: float | None = None
    class_thresholds: Mapping[str, float] = field(default_factory=dict)
    iou_threshold: float | None = None
    class_aware_nms: bool | None = None
    max_detections: int | None = None
    class_filter: tuple[str, ...] = ()
    tiling: Tiling | None = None
    threads: int = 0
    engine: str = 'auto'
    precision: str = 'fp32'
    control_period_s: float = 0.5
    resident: str = AUTO
    device: str = ''
    cuda_graph: bool = False
    allow_build: bool = False

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: names the option, its value and the range.
        """
        for name in ('score_threshold', 'iou_threshold'):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise ValueError(f'{name} is {value}, must be 0..1')
        for name, value in self.class_thresholds.items():
            if not 0.0 <= value <= 1.0:
                raise ValueError(f'class_thresholds: {name} is {value}, must be 0..1')
        if self.max_detections is not None and self.max_detections < 1:
            raise ValueError(f'max_detections is {self.max_detections}, must be at least 1')
        for name in ('max_image_age_s', 'threads', 'control_period_s'):
            value = getattr(self, name)
            if not value >= 0:
                raise ValueError(f'{name} is {value}, must not be negative')
        if self.resident not in RESIDENT:
            known = ', '.join(RESIDENT)
            raise ValueError(f'resident is "{self.resident}", must be one of: {known}')
        object.__setattr__(self, 'class_filter', tuple(self.class_filter))

    def replace(self, **changes: object) -> PipelineOptions:
        """A copy with some settings changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def class_thresholds(entries: Iterable[str], option: str) -> dict[str, float]:
    """Thresholds by class name from texts such as ``person=0.2``; empty texts say nothing.

    Raises:
        ValueError: names the ``option`` and the text.
    """
    found: dict[str, float] = {}
    for entry in filter(None, entries):
        name, _, number = entry.rpartition('=')
        try:
            found[name.strip()] = float(number)
        except ValueError:
            raise ValueError(
                f'{option}: "{entry}" is not NAME=NUMBER, such as person=0.2'
            ) from None
    return found
