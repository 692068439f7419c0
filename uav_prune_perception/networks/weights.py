# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Load weights as plain tensors; nothing is ever unpickled as an object."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from .layouts import adapted

WRAPPERS = ('state_dict', 'model_state_dict', 'model', 'ema')
OPTIONAL_KEY = 'num_batches_tracked'


class WeightsError(ValueError):
    """Weights are missing, damaged, or of another network. One line, ready to print."""


@dataclass(frozen=True)
class Origin:
    """What the file of a network that brings its weights along says; its attribute ``origin``.

    Attributes:
        file: its name.
        classes: names of what it was trained to find, in the order of its scores.
        channels: of the pictures that it was trained on.
        mean: of their normalisation, one number for all channels or one for each.
        std: likewise.
    """

    file: str
    classes: tuple[str, ...]
    channels: int
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """State dict from a ``.safetensors`` file or a torch checkpoint (``weights_only``).

    A checkpoint may wrap the state dict (``state_dict``, ``model``, ...).

    Raises:
        WeightsError: no such file, damaged, or it holds more than tensors.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise WeightsError(f'{path}: no such weights file')
    try:
        if path.suffix == '.safetensors':
            return load_file(path)
        content: Any = torch.load(path, map_location='cpu', weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, OSError) as error:
        raise WeightsError(f'{path}: damaged or not a weights file ({_line(error)})') from None
    except pickle.UnpicklingError:
        raise WeightsError(
            f'{path}: holds more than tensors, which is not loaded; '
            'save model.state_dict() and give that (a .pt of ultralytics belongs to network.name: '
            'ultralytics, network.options.model)'
        ) from None
    return _state_dict(content, path)


def load_weights(
    model: nn.Module, weights: str | Path | Mapping[str, Tensor], *, strict: bool = True
) -> list[str]:
    """Copy weights into ``model``; all or nothing.

    Args:
        model: the network.
        weights: a file, or a state dict.
        strict: every key must be in both (`layouts` knows other names) and have the same shape.
            Otherwise what fits is copied (a new head on a trained backbone).

    Returns:
        Names of the model's tensors that were left as they were.

    Raises:
        WeightsError: names missing, unexpected and mis-shaped keys.
    """
    where = 'weights' if isinstance(weights, Mapping) else str(weights)
    wanted = model.state_dict()
    found = adapted(weights if isinstance(weights, Mapping) else read_weights(weights), wanted)
    missing = [k for k in wanted if k not in found and not k.endswith(OPTIONAL_KEY)]
    unexpected = [k for k in found if k not in wanted and not k.endswith(OPTIONAL_KEY)]
    shapes = [
        f'{k} {tuple(found[k].shape)}, the network has {tuple(wanted[k].shape)}'
        for k in wanted
        if k in found and found[k].shape != wanted[k].shape
    ]
    if strict and (missing or unexpected or shapes):
        parts = [
            f'{title} {_some(names)}'
            for title, names in (
                ('missing', missing), ('unexpected', unexpected), ('wrong shape', shapes)
            )
            if names
        ]
        raise WeightsError(f'{where}: do not fit {type(model).__name__}: {"; ".join(parts)}')
    fitting = {
        k: v for k, v in found.items() if k in wanted and v.shape == wanted[k].shape
    }
    model.load_state_dict(fitting, strict=False)
    return [k for k in wanted if k not in fitting and not k.endswith(OPTIONAL_KEY)]


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f'{path}: no state dict in it, but {type(content).__name__}')
    stray = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if stray:
        raise WeightsError(f'{path}: not a state dict: {_some([str(k) for k in stray])}')
    return {str(key): value for key, value in content.items()}


def stated_normalisation(
    path: str | Path,
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """(mean, std) that the metadata of a ``.safetensors`` file says the network was trained with.

    Read from an entry ``normalise`` such as ``RGB/255, mean .485 .456 .406 std .229 .224 .225``;
    None where there is none.
    """
    path = Path(path).expanduser()
    if path.suffix != '.safetensors' or not path.is_file():
        return None
    try:
        with safe_open(path, 'pt') as stream:
            text = (stream.metadata() or {}).get('normalise', '')
    except (SafetensorError, OSError):
        return None
    number = r'((?:\s+\d*\.?\d+)+)'
    match = re.search(rf'mean{number}\s+std{number}', text)
    if match is None:
        return None
    mean, std = (tuple(float(v) for v in part.split()) for part in match.groups())
    return mean, std


def _some(names: list[str], limit: int = 4) -> str:
    more = f' and {len(names) - limit} more' if len(names) > limit else ''
    return ', '.join(names[:limit]) + more


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
