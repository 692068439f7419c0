# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One level in another precision: written, judged as that file, kept only if it is good enough."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uav_prune_perception.ladder import Accuracy
from uav_prune_perception.onboard.engines.onnx_runtime import OnnxRuntimeEngine
from uav_prune_perception.training.task import LearningTask, Predict

from .engine_file import engine_predict
from .precision import calibration_pictures, simulated_predict, write_variant


@dataclass(frozen=True)
class VariantFacts:
    """What was found out about a file in another precision.

    Attributes:
        val: accuracy on the validation split, by which it is accepted.
        accepted: whether it lost no more than was allowed.
        accuracy: on the test split; None where it was not accepted.
    """

    val: Accuracy
    accepted: bool
    accuracy: Accuracy | None

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> VariantFacts:
        """Back from `document`."""
        test = document['accuracy']
        return cls(
            Accuracy(**document['val']), document['accepted'], Accuracy(**test) if test else None
        )


def variant_name(precision: str) -> str:
    """The file's name in a ladder."""
    return f'model.{precision}.onnx'


def make_variant_file(
    source: Path, task: LearningTask, folder: Path, precision: str, *, least_val: float
) -> VariantFacts:
    """Write ``folder/model.<precision>.onnx`` and judge it.

    Args:
        source: the level's fp32 file.
        task: gives calibration pictures (of train) and the accuracy.
        folder: to write into.
        precision: 'fp16', 'int8' or 'int8_symmetric'.
        least_val: accuracy on val that it must reach; test is not looked at below.

    Raises:
        ExportError: it cannot be written.
        EngineError: it does not run.
    """
    path = write_variant(
        source, folder / variant_name(precision), precision, calibration_pictures(task)
    )
    predict = _predict(path, precision)
    val = task.evaluate(predict, split='val', batch_size=1)
    if val.value < least_val:
        return VariantFacts(val, accepted=False, accuracy=None)
    return VariantFacts(val, True, task.evaluate(predict, split='test', batch_size=1))


def _predict(path: Path, precision: str) -> Predict:
    if precision == 'int8_symmetric':
        return simulated_predict(path)
    engine = OnnxRuntimeEngine(path, precision=precision)
    engine.load()
    return engine_predict(engine)
