# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""An exported graph said in other words, which ONNX Runtime computes in less time.

Both rewrites keep what is computed. Measured on YOLOv8n at 320x320 with a third of its MACs (AVX2,
one thread): its box bins' softmax takes 13 % of the time as ONNX Runtime does it, 2 % here; its
split convolutions have the blocked layout of channels undone and made anew around every split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

LONGEST_SOFTMAX = 64  # along its axis; longer rows are worth the transposition
BLOCK = 8  # channels of the blocked layout on AVX2; narrower parts would fall out of it
# Work on every number by itself: done to the parts it gives the parts of what it gave.
ELEMENTWISE = frozenset({
    'Add', 'Clip', 'Div', 'Elu', 'HardSigmoid', 'HardSwish', 'LeakyRelu', 'Mish', 'Mul', 'Relu',
    'Sigmoid', 'Softplus', 'Sub', 'Tanh',
})
# What exporters compute the ends of slices with.
INDEX_WORK = frozenset({
    'Add', 'Cast', 'Concat', 'Div', 'Gather', 'Mod', 'Mul', 'Reshape', 'Slice', 'Squeeze', 'Sub',
    'Unsqueeze',
})
MOST_INDICES = 16
AXES_AS_INPUT = 18  # opset from which ReduceMax takes them so


def rewritten(proto: ModelProto) -> ModelProto:
    """The same network with the rewrites below wherever they apply."""
    opset = max(item.version for item in proto.opset_import if item.domain in ('', 'ai.onnx'))
    proto = indices_worked_out(proto, opset)
    short_softmaxes_spelled_out(proto.graph, opset)
    split_convolutions(proto.graph, _known(proto.graph, opset))
    del proto.graph.value_info[:]
    return proto


def indices_worked_out(proto: ModelProto, opset: int) -> ModelProto:
    """A copy with shapes of all tensors, and what is computed from shapes alone as constants."""
    found: list[NodeProto] | None = None
    while found != []:  # shapes behind a slice are known once its ends are
        proto = onnx.shape_inference.infer_shapes(proto)
        graph = proto.graph
        known = _known(graph, opset)
        work = INDEX_WORK | {'Shape'}
        found = [n for n in graph.node if n.op_type in work and known.keys() >= set(n.output)]
        gone = {id(node) for node in found}
        for node in found:
            for name in node.output:
                graph.initializer.append(numpy_helper.from_array(known[name], name))
        _replace_nodes(graph, [node for node in graph.node if id(node) not in gone])
    _drop_unread(proto.graph)
    return proto


def short_softmaxes_spelled_out(graph: GraphProto, opset: int) -> None:
    """Softmax over a short axis that is not the last: exponentials over their sum.

    ONNX Runtime transposes such an axis to the end and then goes row by row, which for rows of 16
    (the bins of a box's side) is mostly overhead. The largest is taken off first, as Softmax does.
    """
    shapes = _shapes(graph)
    nodes: list[NodeProto] = []
    for node in graph.node:
        shape = shapes.get(node.input[0]) if node.op_type == 'Softmax' else None
        axis = next((int(a.i) for a in node.attribute if a.name == 'axis'), -1)
        if shape is None or axis in (-1, len(shape) - 1) or not (
            0 < shape[axis] <= LONGEST_SOFTMAX
        ):
            nodes.append(node)
            continue
        given, out = node.input[0], node.output[0]
        axes = numpy_helper.from_array(np.array([axis], np.int64), f'{out}_axes')
        graph.initializer.append(axes)
        largest = (
            helper.make_node('ReduceMax', [given, axes.name], [f'{out}_max'], keepdims=1)
            if opset >= AXES_AS_INPUT else
            helper.make_node('ReduceMax', [given], [f'{out}_max'], axes=[axis], keepdims=1)
        )
        nodes += [
            largest,
            helper.make_node('Sub', [given, f'{out}_max'], [f'{out}_below']),
            helper.make_node('Exp', [f'{out}_below'], [f'{out}_exp']),
            helper.make_node('ReduceSum', [f'{out}_exp', axes.name], [f'{out}_sum'], keepdims=1),
            helper.make_node('Div', [f'{out}_exp', f'{out}_sum'], [out]),
        ]
    _replace_nodes(graph, nodes)


def split_convolutions(graph: GraphProto, known: Mapping[str, NDArray[Any]]) -> None:
    """One convolution for each part where a convolution's output is taken apart by channels.

    As in YOLOv8's C2f. Activations in between are done to each part.

    Args:
        graph: is changed.
        known: tensors whose values do not depend on the picture.
    """
    makers = {name: node for node in graph.node for name in node.output}
    readers: dict[str, list[NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    final = {value.name for value in graph.output}
    shapes = _shapes(graph)
    instead: dict[int, list[NodeProto]] = {}
    for whole in [name for name, shape in shapes.items() if len(shape) == 4]:  # [1, C, H, W]
        takers = readers[whole]
        parts = [part for node in takers for part in _parts(node, shapes[whole][1], known)]
        if len(parts) < 2 or any(part is None or part.channels % BLOCK for part in parts):
            continue
        between = _between(whole, makers, known)
        inside = {id(node) for node in (*between, *takers)}
        if not between or any(
            name in final or any(id(reader) not in inside for reader in readers[name])
            for node in between for name in node.output
        ):
            continue
        instead |= {id(node): [] for node in (*between, *takers)}
        instead[id(between[-1])] = [
            node for part in parts if part is not None
            for node in _one_part(graph, part, whole, between, known)
        ]
    if instead:
        nodes = [new for node in graph.node for new in instead.get(id(node), [node])]
        _replace_nodes(graph, nodes)
        _drop_unread(graph)


@dataclass(frozen=True)
class _Part:
    """Channels ``start`` to ``stop`` of a tensor under a name of their own."""

    name: str
    start: int
    stop: int

    @property
    def channels(self) -> int:
        return self.stop - self.start


def _parts(
    node: NodeProto, channels: int, known: Mapping[str, NDArray[Any]]
) -> list[_Part | None]:
    """What a reader takes of a tensor; [None] if it is no plain choice of channels."""
    axis = next((int(a.i) for a in node.attribute if a.name == 'axis'), 0)
    values = [known.get(name) for name in node.input[1:]]
    if node.op_type == 'Split' and axis == 1:
        each = -(-channels // len(node.output))  # where no sizes are given
        sizes = values[0] if values else np.full(len(node.output), each)
        if sizes is None:
            return [None]
        ends = np.minimum(np.cumsum(sizes), channels).tolist()
        return [
            _Part(name, start, stop)
            for name, start, stop in zip(node.output, [0, *ends], ends, strict=False)
        ]
    if node.op_type != 'Slice' or len(values) < 3 or any(v is None or v.size != 1 for v in values):
        return [None]
    first, last, along, *step = (int(v.item()) for v in values if v is not None)
    if along != 1 or step not in ([], [1]):
        return [None]
    start, stop, _ = slice(first, last).indices(channels)
    return [_Part(node.output[0], start, stop)]


def _between(
    whole: str, makers: Mapping[str, NodeProto], known: Mapping[str, NDArray[Any]]
) -> list[NodeProto]:
    """A plain convolution and what is done to its output until ``whole``; [] if it is not so."""
    found: dict[int, NodeProto] = {}
    waiting = [whole]
    while waiting:
        name = waiting.pop()
        if name in known:
            if known[name].size != 1:
                return []
            continue
        node = makers.get(name)
        if node is None or node.op_type not in ELEMENTWISE | {'Conv'}:
            return []
        found[id(node)] = node
        if node.op_type != 'Conv':
            waiting += [name for name in node.input if name]
    convolutions = [node for node in found.values() if node.op_type == 'Conv']
    if len(convolutions) != 1 or not _is_plain(convolutions[0], known):
        return []
    return [node for node in makers.values() if id(node) in found]  # in their order


def _is_plain(node: NodeProto, known: Mapping[str, NDArray[Any]]) -> bool:
    groups = next((int(a.i) for a in node.attribute if a.name == 'group'), 1)
    return groups == 1 and all(name in known for name in node.input[1:])


def _one_part(
    graph: GraphProto, part: _Part, whole: str, between: list[NodeProto],
    known: Mapping[str, NDArray[Any]],
) -> list[NodeProto]:
    """Convolution and activations for some of the channels."""
    names = {name: f'{name}_{part.name}' for node in between for name in node.output}
    names[whole] = part.name
    nodes = []
    for node in between:
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.name = f'{node.name}_{part.name}'
        inputs = [names.get(name, name) for name in node.input]
        if node.op_type == 'Conv':
            for place, name in enumerate(node.input[1:], start=1):
                rows = np.ascontiguousarray(known[name][part.start:part.stop])
                inputs[place] = f'{name}_{part.name}'
                graph.initializer.append(numpy_helper.from_array(rows, inputs[place]))
        copy.input[:], copy.output[:] = inputs, [names[name] for name in node.output]
        nodes.append(copy)
    return nodes


def _known(graph: GraphProto, opset: int) -> dict[str, NDArray[Any]]:
    """Weights, and what is computed from nothing but them and from shapes (sizes of parts)."""
    known = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    shapes = _shapes(graph)
    for node in graph.node:
        if node.op_type == 'Constant' and node.attribute[0].name == 'value':
            known[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type == 'Identity' and node.input[0] in known:
            known[node.output[0]] = known[node.input[0]]
        elif node.op_type == 'Shape' and not node.attribute and all(
            shape := shapes.get(node.input[0], [0])
        ):
            known[node.output[0]] = np.array(shape, np.int64)
        elif node.op_type in INDEX_WORK and all(
            name in known and known[name].size <= MOST_INDICES for name in node.input
        ):
            evaluator = ReferenceEvaluator(node, opsets={'': opset})
            values = evaluator.run(None, {name: known[name] for name in node.input})
            known |= dict(zip(node.output, (np.asarray(value) for value in values), strict=True))
    return known


def _shapes(graph: GraphProto) -> dict[str, list[int]]:
    """Of every tensor whose rank is known; 0 for a size that is not."""
    values = (*graph.value_info, *graph.input, *graph.output)
    return {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in values if value.type.tensor_type.HasField('shape')
    }


def _replace_nodes(graph: GraphProto, nodes: list[NodeProto]) -> None:
    del graph.node[:]
    graph.node.extend(nodes)


def _drop_unread(graph: GraphProto) -> None:
    """Work and weights that nothing reads any more."""
    final = {value.name for value in graph.output}
    before = len(graph.node) + 1
    while len(graph.node) < before:
        before = len(graph.node)
        read = final | {name for node in graph.node for name in node.input}
        _replace_nodes(graph, [node for node in graph.node if read & set(node.output)])
    read = {name for node in graph.node for name in node.input}
    kept = [item for item in graph.initializer if item.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
