# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A torch network as one self-contained ONNX file that old runtimes read too."""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from uav_prune_perception.ladder.durable import replacing

from .graph_rewrites import rewritten
from .single_precision import in_single_precision

# Newest opset that torch's TorchScript exporter writes as it is. The newer exporter starts at 18
# and its down-conversion gives up on ordinary operators (ReduceMean, Split), so it comes first
# only above; below, it has its turn where the older one refuses.
# TensorRT 8.5 and 8.6 read opset 17 at most.
TORCHSCRIPT_OPSET = 17

_NAMES = {False: 'the TorchScript exporter', True: 'the newer exporter'}

# The file format version that came with each opset: a reader of that age accepts the file.
# (ONNX Runtime 1.16 stops at IR 9, 1.14 at IR 8.)  Source: onnx docs/Versioning.md.
IR_OF_OPSET = {19: 9, 20: 9, 21: 10, 22: 10}
OLDEST_IR = 8


class ExportError(RuntimeError):
    """A network cannot be written, or what was written differs. One line, ready to print."""


def export_onnx(
    model: nn.Module,
    example: Tensor,
    path: str | Path,
    *,
    input_name: str,
    output_name: str,
    opset: int = 17,
    rewrite: bool = True,
) -> Path:
    """Write ``model`` in evaluation mode with the fixed shape of ``example``.

    Args:
        model: one tensor in, one tensor out; its mode is restored afterwards.
        example: float32 [1, C, H, W].
        path: the file; appears whole or not at all.
        input_name: name of the ONNX input.
        output_name: name of the ONNX output.
        opset: ONNX operator set; 17 is read by TensorRT 8.5 and ONNX Runtime 1.14 on.
        rewrite: in words that ONNX Runtime computes in less time (`graph_rewrites`).

    Raises:
        ExportError: both exporters of torch refuse the network, or the result is not
            self-contained.
    """
    path = Path(path)
    was_training = model.training
    model.eval()
    try:
        with replacing(path) as temporary:
            with _quiet(), _attention_in_parts(), torch.no_grad():
                proto = _export(model, example, str(temporary), (input_name, output_name), opset)
            proto = _checked(in_single_precision(proto), opset, input_name, output_name)
            if rewrite:
                proto = rewritten(proto)
                onnx.checker.check_model(proto, full_check=True)
            onnx.save(proto, str(temporary))
    except ExportError as error:
        raise ExportError(f'{path.name}: {error}') from None
    finally:
        model.train(was_training)
    return path


def _export(
    model: nn.Module, example: Tensor, path: str, names: tuple[str, str], opset: int
) -> onnx.ModelProto:
    """With the exporter that writes ``opset`` as it is, or with the other where it refuses."""
    first = opset > TORCHSCRIPT_OPSET
    problems: list[str] = []
    for modern in (first, not first):
        try:
            _export_by(modern, model, example, path, names, opset)
            proto = onnx.load(path)
            if (written := _opset_of(proto)) == opset:
                return proto
            problems.append(f'{_NAMES[modern]}: wrote opset {written}; set export.opset to that')
        except (MemoryError, OSError):
            raise
        except Exception as error:  # torch raises dozens of kinds here, many private
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            problems.append(f'{_NAMES[modern]}: {reason}')
    raise ExportError(f'torch cannot write opset {opset}: {"; ".join(problems)}')


def _export_by(  # noqa: PLR0917 (the exporter and what it is given)
    modern: bool, model: nn.Module, example: Tensor, path: str, names: tuple[str, str], opset: int
) -> None:
    extra: dict[str, Any] = {'external_data': False} if modern else {}
    # A copy: either exporter may leave shape-only tensors in what a head caches.
    model = copy.deepcopy(model)
    # Some heads cache what their first forward computes; filled during the export, the cache
    # holds tensors without values and the export fails.
    model(example)
    torch.onnx.export(
        model, (example,), path, opset_version=opset, dynamo=modern, verbose=False,
        input_names=[names[0]], output_names=[names[1]], **extra,
    )


def _opset_of(proto: onnx.ModelProto) -> int | None:
    written = {item.domain: item.version for item in proto.opset_import}
    return written.get('', written.get('ai.onnx'))


def _checked(
    proto: onnx.ModelProto, opset: int, input_name: str, output_name: str
) -> onnx.ModelProto:
    others = [item.domain for item in proto.opset_import if item.domain not in ('', 'ai.onnx')]
    if others:
        raise ExportError(f'needs operators outside ONNX: {", ".join(others)}')
    if any(item.external_data for item in proto.graph.initializer):
        raise ExportError('weights lie outside the file')
    inputs = [item.name for item in proto.graph.input]
    outputs = [item.name for item in proto.graph.output]
    if inputs != [input_name] or outputs != [output_name]:
        raise ExportError(
            f'needs one input and one output, the network has {len(inputs)} and {len(outputs)}'
        )
    proto.ir_version = IR_OF_OPSET.get(opset, OLDEST_IR)
    _forget_sources(proto)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _forget_sources(proto: onnx.ModelProto) -> None:
    """Drop stack traces and paths of the machine that exported (and fields newer than the IR)."""
    for node in proto.graph.node:
        node.doc_string = ''
        if hasattr(node, 'metadata_props'):
            del node.metadata_props[:]
    for group in (proto.graph.value_info, proto.graph.input, proto.graph.output):
        for value in group:
            if hasattr(value, 'metadata_props'):
                del value.metadata_props[:]
    if hasattr(proto.graph, 'metadata_props'):
        del proto.graph.metadata_props[:]


@contextlib.contextmanager
def _attention_in_parts() -> Iterator[None]:
    """``nn.MultiheadAttention`` as ordinary operators: in evaluation it is one that ONNX lacks."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings and log lines: none is for the user to act on."""
    loggers = [logging.getLogger(name) for name in ('torch.onnx', 'onnxscript', 'onnx_ir')]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), open(os.devnull, 'w', encoding='utf-8') as nowhere:
        warnings.simplefilter('ignore')
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            with contextlib.redirect_stdout(nowhere):
                yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
