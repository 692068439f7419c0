# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of detectors runs: data, network, cuts, contenders, and the budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from methods_settings import Contender, Problem, Setting


@dataclass(frozen=True)
class Goal:
    """How much goes: a share of the MACs or of the parameters."""

    kind: Literal['macs', 'params']
    cut: float

    def __str__(self) -> str:
        return f'{self.cut:.0%} of the {"MACs" if self.kind == "macs" else "parameters"} cut'


# L1RR's goal line last: 65 % of the FLOPs and 77.54 % of the parameters of YOLOv5s.
GOALS = (Goal('macs', 0.65), Goal('macs', 0.50), Goal('params', 0.7754))


@dataclass(frozen=True)
class DetectionSetting(Setting):
    """As `Setting`; fine-tuning is by AdamW, sparse training by SGD (AdamW would even it out).

    ``start`` names YOLOv5 weights on COCO, relative to the data folder, from which the dense
    network is trained; '': from scratch. ``sparse_lr``: 0.01, the published rate, is for
    networks on their way; it takes a trained one apart within 40 steps (loss 4.7 to 8.1).
    """

    goals: tuple[Goal, ...] = GOALS
    start: str = ''
    sparse_lr: float = 0.001

    def fit(self, part: float = 1.0) -> dict[str, Any]:
        """A training section with a part of the whole budget."""
        return {
            'epochs': round(part * self.epochs), 'batch_size': self.batch_size, 'lr': self.lr,
            'optimizer': 'adamw', 'weight_decay': 0.02, 'warmup_epochs': 0.5, 'ema': True,
            'clip_norm': 10.0, 'final_lr': 0.02, 'device': self.device, 'amp': self.amp,
        }

    def sparse(self, part: float) -> dict[str, Any]:
        """The same for sparse training."""
        return {
            **self.fit(part), 'optimizer': 'sgd', 'lr': self.sparse_lr, 'weight_decay': 5e-4,
            'ema': False,
        }


def hit_uav(options: dict[str, Any], size: tuple[int, int], epochs: int, **data: Any) -> Problem:
    """HIT-UAV at a picture size with a network of the YOLO shape."""
    scale = size[0] / 640
    strides = options.get('strides', (8, 16, 32))
    ends = tuple(f'heads.{i}.{kind}.2' for i in range(len(strides)) for kind in ('box', 'score'))
    return Problem(
        f'HIT-UAV {size[0]}x{size[1]}',
        {'kind': 'hit_uav', 'root': 'hit_uav', 'width': size[0], 'height': size[1],
         'size_limits': [32 * scale, 96 * scale], **data},
        {'name': 'yolo', 'options': options}, epochs, ends,
    )


V5N = Problem(
    'HIT-UAV 256x192, YOLOv5n shape',
    {'kind': 'hit_uav', 'root': 'hit_uav', 'width': 256, 'height': 192, 'mean': 0, 'std': 1,
     'size_limits': [12.8, 38.4]},
    {'name': 'yolov5', 'options': {'size': 'n'}}, 6,
    tuple(f'model.24.m.{index}' for index in range(3)),
)
ON_CPU: dict[str, Any] = {
    'problems': (V5N,), 'batch_size': 16, 'lr': 1.5e-3, 'val_limit': 64,
    'start': 'weights/yolov5n_coco.safetensors',
}
SMALL = {'width': 0.125, 'strides': [8, 16]}
SETTINGS = {
    # For a look at the harness; its figures mean nothing.
    'smoke': DetectionSetting(
        'smoke', (hit_uav(SMALL, (96, 64), 1, train_limit=8, eval_limit=4),), epochs=3, steps=1,
        batch_size=2, lr=1e-3, seeds=1, goals=(Goal('macs', 0.5), Goal('params', 0.6)),
    ),
    'cpu': DetectionSetting('cpu', **ON_CPU, epochs=6, steps=20),
    # What a cut keeps when it may learn for longer than the dense network did; hours.
    'cpu_long': DetectionSetting('cpu_long', **ON_CPU, epochs=8, steps=None, seeds=1),
    # Written without a GPU at hand; hours, resumable.
    'gpu': DetectionSetting(
        'gpu', (hit_uav({'size': 's', 'strides': [4, 8, 16, 32]}, (640, 512), 100),), epochs=60,
        steps=None, batch_size=16, lr=1e-3, device='cuda', amp=True,
    ),
}

THIRD = 'a third of the budget is sparse training'
SIXTH = 'a sixth of the budget is sparse training, by proximal steps; layers refitted'
TAUGHT = 'elimination, least squares, distillation of outputs and feature maps'
SPARSE = {'strength': 0.2, 'step': 'proximal', 'pictures': 16}
SEARCH = {'particles': 6, 'cycles': 2, 'pictures': 64, 'images': 64}
UNCUT = Contender('dense, trained on', 'dense', '', note='not cut; the same budget')
LEADING = (  # first, with every seed and at every goal
    Contender('L1RR', 'method', 'l1rr', SPARSE, parts={'sparse': 1 / 6},
              prune={'reconstruct': True}, note=SIXTH),
    Contender('L1RR, protected', 'ours', 'l1rr', {**SPARSE, 'protect': 'small_objects'},
              parts={'sparse': 1 / 6}, prune={'reconstruct': True},
              note=f'{SIXTH}; small and rare objects protected in the attention loss'),
    Contender('L1RR, distilled', 'method', 'l1rr', SPARSE, parts={'sparse': 1 / 6}, distil=True,
              prune={'reconstruct': True}, note=f'{SIXTH}; with our distillation'),
    Contender('recommended', 'ours', 'elimination', allocation='inner', distil=True,
              prune={'reconstruct': True, 'round_to': 'auto'},
              note=f'{TAUGHT}; widths as by default'),
    Contender('recommended, any width', 'ours', 'elimination', allocation='inner', distil=True,
              prune={'reconstruct': True}, note=f'{TAUGHT}; any width, as all others'),
    Contender('elimination', 'ours', 'elimination', allocation='inner',
              prune={'reconstruct': True}, note='elimination and least squares'),
    Contender('TP magnitude, distilled', 'Torch-Pruning', 'magnitude', distil=True,
              note='with our distillation'),
    Contender('L1 global', 'baseline', 'l1', allocation='global'),
    Contender('TP magnitude', 'Torch-Pruning', 'magnitude'),
)
OTHERS = (
    Contender('slimming', 'baseline', 'network_slimming', {'strength': 0.03},
              parts={'sparse': 1 / 3}, note=THIRD),
    Contender('ACP budgeted', 'method', 'acp', SEARCH, parts={'search': 0.0},
              note='our budgeted mode: search without training on top'),
    Contender('ACP budgeted, distilled', 'method', 'acp', SEARCH, parts={'search': 0.0},
              distil=True, note='the same with our distillation'),
    Contender('ACP by 8, distilled', 'method', 'acp', SEARCH, parts={'search': 0.0}, distil=True,
              prune={'round_to': 'auto'}, settings=('cpu_long',),
              note='the same, widths as by default'),
    Contender('TP group norm, sparse', 'Torch-Pruning', 'group_sl', parts={'sparse': 1 / 3},
              note=THIRD),
    Contender('AdaSP', 'method', 'adasp', {'start': 'dense'}, parts={'soft': 1.0},
              note='the budget is training with masks, from the trained network'),
    Contender('DAAR', 'method', 'daar', {'probe_epochs': 1}, note='probe training on top'),
    Contender('random', 'baseline', 'random', allocation='uniform'),
    Contender('L1 uniform', 'baseline', 'l1', allocation='uniform'),
    Contender('FPGM', 'baseline', 'fpgm', allocation='uniform'),
    Contender('TP BN scale', 'Torch-Pruning', 'bn_scale'),
)
