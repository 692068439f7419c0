# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The dense network teaches every layer, not only the last (FitNets, Romero et al., ICLR 2015).

A cut network has the layers of the dense one with fewer channels, and the plan says which: so each
channel that stayed can be told what it said before, with no adapters between the two [ours].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .fit import FitHook
from .ranks import mean_of_all

QUIET = 1e-3  # of the layer's mean variance: channels that hardly vary do not weigh more


class FeatureDistillation(FitHook):
    """Adds the squared difference of feature maps over each channel's variance, mean over layers.

    Maps are those behind BatchNorm, before the activation; of networks without BatchNorm those of
    convolutions and linear layers. What runs several times in one pass, or gives another shape
    than the teacher's kept channels, is left out. The weight falls linearly to 0 over the run, so
    that it ends with what the labels ask for.

    Use it as a context: the networks are watched only inside.

    Args:
        student: learns.
        teacher: the dense network.
        kept: name of a cut tensor -> int64, the indices of its first dimension that stayed.
        weight: at the beginning.
    """

    def __init__(
        self, student: nn.Module, teacher: nn.Module, kept: Mapping[str, Tensor], weight: float
    ) -> None:
        self.weight, self._teacher = weight, teacher
        self._left = 1.0  # of the run
        self._images: Tensor | None = None  # of the step; None: nothing is noted
        self._own: dict[str, list[Tensor]] = {}
        self._wanted: dict[str, list[Tensor]] = {}
        taught = dict(teacher.named_modules())
        norms = [path for path, one in student.named_modules() if isinstance(one, _BatchNorm)]
        layers = norms or [
            path for path, one in student.named_modules()
            if isinstance(one, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear))
        ]
        self._handles = []
        for path in layers:
            if path in taught:
                rows = kept.get(f'{path}.weight', kept.get(f'{path}.running_mean'))
                own, whole = student.get_submodule(path), taught[path]
                self._handles += [
                    own.register_forward_hook(self._noting(self._own, path, None)),
                    whole.register_forward_hook(self._noting(self._wanted, path, rows)),
                ]

    def __enter__(self) -> FeatureDistillation:
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves both networks as they were."""
        for handle in self._handles:
            handle.remove()
        self._forget()

    def before_loss(self, model: nn.Module, images: Tensor, targets: Any) -> None:
        """From here on maps are noted."""
        self._forget()
        self._images = images

    def penalty(self, model: nn.Module) -> Tensor | None:
        """Of the maps since then; a teacher whom the loss has not asked is asked here."""
        if self._own and not self._wanted and self._images is not None:
            with torch.no_grad():
                self._teacher(self._images)
        pairs = [
            (maps[0].float(), self._wanted[path][0].float()) for path, maps in self._own.items()
            if len(maps) == len(self._wanted.get(path, ())) == 1
            and maps[0].shape == self._wanted[path][0].shape
        ]
        self._forget()
        if not pairs:
            return None
        spreads = _spreads([wanted for _, wanted in pairs])
        found = [_away(*pair, spread) for pair, spread in zip(pairs, spreads, strict=True)]
        return self.weight * self._left * torch.stack(found).mean()

    def after_step(self, model: nn.Module, done: float) -> None:
        """See the class."""
        self._left = 1.0 - done

    def state_dict(self) -> dict[str, Any]:
        """How much is left."""
        return {'left': self._left}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it back."""
        self._left = float(state['left'])

    def _noting(self, notes: dict[str, list[Tensor]], path: str, rows: Tensor | None) -> Any:
        def note(module: nn.Module, __: Any, output: Tensor) -> None:
            if self._images is not None:
                if isinstance(module, nn.Linear) and output.dim() > 2:
                    output = output.movedim(-1, 1)  # tokens: channels are last
                kept = output if rows is None else output[:, rows.to(output.device)]
                notes.setdefault(path, []).append(kept)

        return note

    def _forget(self) -> None:
        self._own.clear()
        self._wanted.clear()
        self._images = None


def _spreads(maps: Sequence[Tensor]) -> list[Tensor]:
    """Variance of each channel of each map [B, C, ...] over the whole batch: float32 [C]."""
    sizes = [one.shape[1] for one in maps]
    means = mean_of_all(torch.cat([_over_channels(one) for one in maps])).split(sizes)
    squares = [
        _over_channels((one - _beside(mean, one)).square())
        for one, mean in zip(maps, means, strict=True)
    ]
    return list(mean_of_all(torch.cat(squares)).split(sizes))


def _away(own: Tensor, wanted: Tensor, spread: Tensor) -> Tensor:
    """Mean over channels of the squared error over the wanted variance; maps are [B, C, ...]."""
    error = _over_channels((own - wanted).square())
    return (error / (spread + QUIET * spread.mean() + 1e-12)).mean()


def _over_channels(maps: Tensor) -> Tensor:
    return maps.mean([axis for axis in range(maps.dim()) if axis != 1])


def _beside(values: Tensor, maps: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (maps.dim() - 2))
