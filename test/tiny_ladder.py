# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Real little ladders for tests: ONNX models whose right answer can be drawn by hand.

The detector finds every axis-aligned bright rectangle (a channel above 0.5, at least 8 input
pixels wide and high, not touching another) to the pixel, and its class by colour:
'white', 'red', 'green' or 'blue'. Its rungs give the same boxes; ``LEVEL_SCORE`` is the score of
a pure colour on each, which tells which rung ran, and the heavier ones cost more.

The classifier says which of 'red', 'green', 'blue' is strongest on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from uav_prune_perception.ladder import (
    Accuracy,
    BoxesScores,
    InputSpec,
    Ladder,
    LadderWriter,
    Logits,
)

CLASSES = ('white', 'red', 'green', 'blue')
LEVELS = ('100', '50', '25', '12')
LEVEL_SCORE = {'100': 0.95, '50': 0.9, '25': 0.85, '12': 0.8}
COST = {'100': 4, '50': 2, '25': 1, '12': 0}  # 3x3 convolutions, 16 to 16 channels, half size
STEP = 8  # one candidate at every STEP-th pixel in both directions

PROVENANCE = {
    'created': '2026-01-01T00:00:00Z', 'method': 'none', 'seed': 0, 'recipe': {},
    'data_sha256': '0' * 64, 'packages': {},
}


def make_detection_ladder(
    folder: str | Path,
    levels: int = 3,
    width: int = 320,
    height: int = 256,
    *,
    fragile: Sequence[str] = (),
    broken: Sequence[str] = (),
) -> Ladder:
    """Write and open a detection ladder.

    Args:
        folder: where; must not exist.
        levels: 1 to 4 rungs, named as in ``LEVELS``.
        width: of the network input, a multiple of 8.
        height: likewise.
        fragile: rungs that answer NaN to a picture whose middle is white: a way to make an
            engine fail in flight.
        broken: rungs whose model is no ONNX at all.
    """
    spec = InputSpec(width, height)
    writer = LadderWriter(
        folder, name='rectangles', task='detection', classes=CLASSES, input=spec,
        decode=BoxesScores(), provenance=PROVENANCE,
    )
    with writer:
        for name in LEVELS[:levels]:
            model = b'not a model'
            if name not in broken:
                model = detector(
                    width, height, score=LEVEL_SCORE[name], cost=COST[name],
                    fragile=name in fragile,
                ).SerializeToString()
            (writer.level_folder(name) / 'model.onnx').write_bytes(model)
            macs = 1 + COST[name] * 16 * 16 * 9 * (width // 2) * (height // 2)
            writer.add_level(
                name, kept_macs=int(name) / 100, macs=macs, params=1 + COST[name] * 2304,
                accuracy=Accuracy('mAP50', LEVEL_SCORE[name], 'made up', 1),
            )
        return writer.commit()


def make_classification_ladder(folder: str | Path) -> Ladder:
    """Write and open a two-rung classification ladder ('100', '50'), 64 x 64, stretched."""
    classes = ('red', 'green', 'blue')
    writer = LadderWriter(
        folder, name='colours', task='classification', classes=classes,
        input=InputSpec(64, 64, resize='stretch'), decode=Logits(top_k=3), provenance=PROVENANCE,
    )
    with writer:
        for name, gain in (('100', 8.0), ('50', 4.0)):
            model = classifier(64, 64, gain).SerializeToString()
            (writer.level_folder(name) / 'model.onnx').write_bytes(model)
            writer.add_level(
                name, kept_macs=int(name) / 100, macs=int(name), params=1,
                accuracy=Accuracy('top1', 0.9, 'made up', 1),
            )
        return writer.commit()


def scene(
    width: int, height: int, rectangles: Sequence[tuple[int, int, int, int, str]]
) -> np.ndarray:
    """An RGB picture, uint8 [height, width, 3]: dark, with (x1, y1, x2, y2, colour) rectangles."""
    colors = {
        'white': (255, 255, 255), 'red': (255, 0, 0), 'green': (0, 255, 0), 'blue': (0, 0, 255)
    }
    image = np.full((height, width, 3), 20, np.uint8)
    for x1, y1, x2, y2, color in rectangles:
        image[y1:y2, x1:x2] = colors[color]
    return image


class _Graph:
    """Collects nodes and constants; every call returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def __call__(self, kind: str, *inputs: str, out: str = '', **attributes: object) -> str:
        out = out or f't{len(self.nodes)}'
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def constant(self, value: object, dtype: type = np.float32) -> str:
        name = f'c{len(self.constants)}'
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def model(self, width: int, height: int, output: str, shape: list[int]) -> onnx.ModelProto:
        image = helper.make_tensor_value_info(
            'images', TensorProto.FLOAT, [1, 3, height, width]
        )
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, 'tiny', [image], [result], self.constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def detector(
    width: int, height: int, *, score: float = 0.95, cost: int = 0, fragile: bool = False
) -> onnx.ModelProto:
    """From each bright pixel of a coarse grid, look for the nearest dark one on four sides."""
    if width % STEP or height % STEP:
        raise ValueError(f'{width} x {height} is not a multiple of {STEP}')
    g = _Graph()
    first, second, third = g('Split', 'images', axis=1), 'green', 'blue'
    g.nodes[-1].output[:] = [first, second, third]
    peak = g('Max', first, second, third)
    dark = g('Cast', g('Less', peak, g.constant(0.5)), to=TensorProto.FLOAT)
    columns = np.arange(width).reshape(1, 1, 1, width)
    rows = np.arange(height).reshape(1, 1, height, 1)
    left = _last_dark(g, dark, columns, horizontal=True, size=width)
    top = _last_dark(g, dark, rows, horizontal=False, size=height)
    right = _first_dark(g, dark, columns, horizontal=True, size=width)
    bottom = _first_dark(g, dark, rows, horizontal=False, size=height)
    colors = [
        g('Slice', name, g.constant([0, 0], np.int64), g.constant([height, width], np.int64),
          g.constant([2, 3], np.int64), g.constant([STEP, STEP], np.int64))
        for name in (first, second, third)
    ]
    scale = g.constant(score)
    scores = [g('Mul', g('Min', *colors), scale)]
    for index, color in enumerate(colors):
        others = colors[:index] + colors[index + 1:]
        pure = g('Relu', g('Sub', color, g('Max', *others)))
        scores.append(g('Mul', pure, scale))
    output = g('Concat', left, top, right, bottom, *scores, axis=1)
    if cost:
        output = g('Add', output, _burn(g, cost))
    if fragile:
        centre = g(
            'Slice', 'images', g.constant([height // 3, width // 3], np.int64),
            g.constant([height * 2 // 3, width * 2 // 3], np.int64), g.constant([2, 3], np.int64),
        )
        mean = g('ReduceMean', centre, keepdims=0)
        room = g('Log', g('Sub', g.constant(0.95), mean))  # NaN when the middle is too bright
        output = g('Add', output, g('Mul', room, g.constant(0.0)))
    count = (width // STEP) * (height // STEP)
    g('Reshape', output, g.constant([1, 8, count], np.int64), out='predictions')
    return g.model(width, height, 'predictions', [1, 8, count])


def classifier(width: int, height: int, gain: float) -> onnx.ModelProto:
    """Mean of each channel, times ``gain``, as logits."""
    g = _Graph()
    mean = g('ReduceMean', 'images', axes=[2, 3], keepdims=0)
    g('Mul', mean, g.constant(gain), out='logits')
    return g.model(width, height, 'logits', [1, 3])


def _last_dark(g: _Graph, dark: str, index: np.ndarray, *, horizontal: bool, size: int) -> str:
    """Left (top) edge: 1 + the greatest dark index at or before each grid pixel, else 0."""
    value = g('Mul', dark, g.constant(index + 1))
    kernel, pads = ([1, size], [0, size - 1, 0, 0]) if horizontal else (
        [size, 1], [size - 1, 0, 0, 0])
    return g('MaxPool', value, kernel_shape=kernel, pads=pads, strides=[STEP, STEP])


def _first_dark(g: _Graph, dark: str, index: np.ndarray, *, horizontal: bool, size: int) -> str:
    """Right (bottom) edge: the smallest dark index at or after each grid pixel, else the size."""
    value = g('Mul', dark, g.constant(size - index))
    kernel, pads = ([1, size], [0, 0, 0, size - 1]) if horizontal else (
        [size, 1], [0, 0, size - 1, 0])
    pooled = g('MaxPool', value, kernel_shape=kernel, pads=pads, strides=[STEP, STEP])
    return g('Sub', g.constant(size), pooled)


def _burn(g: _Graph, cost: int) -> str:
    """A zero that takes ``cost`` convolutions to compute."""
    random = np.random.default_rng(0)
    value = g('Conv', 'images', g.constant(random.normal(0, 0.1, (16, 3, 3, 3))),
              pads=[1, 1, 1, 1], strides=[2, 2])
    for _ in range(cost):
        weight = g.constant(random.normal(0, 0.05, (16, 16, 3, 3)))
        value = g('Relu', g('Conv', value, weight, pads=[1, 1, 1, 1]))
    return g('Mul', g('ReduceMean', value, keepdims=0), g.constant(0.0))
