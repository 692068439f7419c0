# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Does an engine speak what the ladder promises?"""

from __future__ import annotations

import numpy as np

from ...ladder import BoxesScores, Ladder
from .base import Engine, EngineError


def check_interface(engine: Engine, ladder: Ladder) -> None:
    """Compare a loaded engine's tensors with the ladder's input and decode specs.

    Raises:
        EngineError: one line with what the model has and what the ladder says.
    """
    spec = ladder.input
    wanted = (1, spec.channels, spec.height, spec.width)
    if engine.input_names != (spec.tensor,):
        has = ', '.join(engine.input_names)
        raise EngineError(f'model has the inputs ({has}), the ladder says ({spec.tensor})')
    if not _agree(engine.input_shapes[0], wanted):
        shape = _text(engine.input_shapes[0])
        raise EngineError(f'input "{spec.tensor}" is {shape}, the ladder says {_text(wanted)}')
    if engine.input_dtypes[0] != np.dtype(np.float32):
        raise EngineError(f'input "{spec.tensor}" is {engine.input_dtypes[0]}, must be float32')
    name = ladder.decode.tensor
    if name not in engine.output_names:
        has = ', '.join(engine.output_names)
        raise EngineError(f'model has the outputs ({has}), the ladder says "{name}"')
    count = len(ladder.classes)
    detector = isinstance(ladder.decode, BoxesScores)
    output: tuple[int | None, ...] = (1, 4 + count, None) if detector else (1, count)
    found = engine.output_shapes[engine.output_names.index(name)]
    if not _agree(found, output):
        raise EngineError(
            f'output "{name}" is {_text(found)}, {count} classes need {_text(output)}'
        )


def _agree(shape: tuple[int | None, ...], wanted: tuple[int | None, ...]) -> bool:
    if len(shape) != len(wanted):
        return False
    return all(None in pair or pair[0] == pair[1] for pair in zip(shape, wanted, strict=True))


def _text(shape: tuple[int | None, ...]) -> str:
    return '[' + ', '.join('?' if size is None else str(size) for size in shape) + ']'
