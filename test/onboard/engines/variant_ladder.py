# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A two-rung classification ladder with fp16 and int8 variants; all of them answer alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import tiny_ladder
from onnx import helper, numpy_helper

from uav_prune_perception.ladder import (
    Accuracy,
    DeviceProfile,
    InputSpec,
    Ladder,
    LadderWriter,
    Logits,
    Variant,
)

SIDE = 32
SIZE = (1, 3, SIDE, SIDE)
ACCURACY = {'fp32': 0.9, 'fp16': 0.89, 'int8': 0.88, 'int8_symmetric': 0.88}


def make(
    folder: Path, *, variants: tuple[str, ...] = ('fp16', 'int8', 'int8_symmetric'),
    latency_ms=None, device='here',
) -> Ladder:
    """Write and open; ``latency_ms`` is {precision: p50} of profiles on ``device``."""
    writer = LadderWriter(
        folder, name='colours', task='classification', classes=('red', 'green', 'blue'),
        input=InputSpec(SIDE, SIDE, resize='stretch'), decode=Logits(top_k=3),
        provenance=tiny_ladder.PROVENANCE,
    )
    profiles = {
        precision: {device: DeviceProfile('ONNX Runtime 1', 10, ms, ms, ms)}
        for precision, ms in (latency_ms or {}).items()
    }
    with writer:
        for name, gain in (('100', 8.0), ('50', 4.0)):
            model = tiny_ladder.classifier(SIDE, SIDE, gain)
            target = writer.level_folder(name)
            onnx.save(model, target / 'model.onnx')
            for variant in variants:
                other = quantised(model) if 'int8' in variant else model
                onnx.save(other, target / f'model.{variant}.onnx')
            writer.add_level(
                name, kept_macs=int(name) / 100, macs=int(name), params=1,
                accuracy=Accuracy('top1', ACCURACY['fp32'], 'made up', 1),
                profiles=profiles.get('fp32'),
                variants={
                    variant: Variant(
                        f'model.{variant}.onnx',
                        Accuracy('top1', ACCURACY[variant], 'made up', 1),
                        profiles.get(variant, {}),
                    )
                    for variant in variants
                },
            )
        return writer.commit()


def quantised(model: onnx.ModelProto) -> onnx.ModelProto:
    """With one Q/DQ pair behind the input."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    scale = numpy_helper.from_array(np.float32(1 / 127), 'scale')
    zero = numpy_helper.from_array(np.int8(0), 'zero')
    model.graph.initializer.extend([scale, zero])
    pair = [
        helper.make_node('QuantizeLinear', ['images', 'scale', 'zero'], ['q']),
        helper.make_node('DequantizeLinear', ['q', 'scale', 'zero'], ['dq']),
    ]
    model.graph.node[0].input[0] = 'dq'
    for node in reversed(pair):
        model.graph.node.insert(0, node)
    return model
