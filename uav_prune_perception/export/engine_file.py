# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One level's network as the file that flies: written, proved, and judged as that file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from uav_prune_perception.ladder import Accuracy
from uav_prune_perception.onboard.engines.onnx_runtime import OnnxRuntimeEngine
from uav_prune_perception.training.task import LearningTask, Predict

from .evaluation_details import Details, Witness, details
from .onnx_export import export_onnx
from .plausibility import remarks
from .verification import open_engine, verify_onnx

MODEL = 'model.onnx'
REAL_PICTURES = 6
PICTURES_AWAY = 2  # so far out, a corner's place is of no matter


@dataclasses.dataclass(frozen=True)
class EngineFacts:
    """What was found out about an exported file.

    Attributes:
        accuracy: of the file in ONNX Runtime, on the test split.
        relative_error: largest difference to the torch network; see `Agreement`.
        compared_on: number of inputs behind ``relative_error``.
        opset: ONNX operator set.
        details: of the same evaluation.
    """

    accuracy: Accuracy
    relative_error: float
    compared_on: int
    opset: int
    details: Details = dataclasses.field(default_factory=Details)

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> EngineFacts:
        """Back from `document`."""
        return cls(**{**document, 'accuracy': Accuracy(**document['accuracy'])})


def make_engine_file(
    model: nn.Module, task: LearningTask, folder: Path, *, opset: int, tolerance: float
) -> EngineFacts:
    """Write ``folder/model.onnx``, prove that it equals ``model``, measure its test accuracy.

    Raises:
        ExportError: it cannot be written, or it computes something else.
    """
    path = export_onnx(
        model, task.example_input(), folder / MODEL, input_name=task.input.tensor,
        output_name=task.decode.tensor, opset=opset,
    )
    side = max(task.input.width, task.input.height)
    agreement = verify_onnx(
        model, path, comparison_inputs(task), tolerance=tolerance,
        reach=PICTURES_AWAY * side if task.kind == 'detection' else None,
    )
    witness = Witness(engine_predict(open_engine(path)), task.kind)
    accuracy = task.evaluate(witness, split='test', batch_size=1)
    more = details(task, 'test', witness.answers)
    odd = remarks(task, agreement, witness.answers)
    if odd:
        more = {**more, 'remarks': odd}
    return EngineFacts(accuracy, agreement.relative_error, agreement.inputs, opset, more)


def comparison_inputs(task: LearningTask) -> Iterator[NDArray[np.float32]]:
    """Real validation pictures, then one of noise: float32 [1, C, H, W] each."""
    shape = task.example_input().shape
    for batch in task.calibration_batches(REAL_PICTURES, batch_size=1, split='val'):
        yield batch.contiguous().numpy()
    yield np.random.default_rng(0).standard_normal(tuple(shape)).astype(np.float32)


def engine_predict(engine: OnnxRuntimeEngine) -> Predict:
    """A loaded engine, for `LearningTask.evaluate`."""
    name = engine.output_names[0]

    def predict(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return engine.infer(images)[name]

    return predict
