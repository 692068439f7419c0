# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A small torch detector without chance, and what must be found with it: ``golden_boxes.json``.

``python test/golden_detector.py`` writes the file anew, by a plain reference in float64 that
shares nothing with the package: no NumPy tricks, one candidate after the other.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name('golden_boxes.json')
CLASSES = ('person', 'car', 'bus')
WIDTH, HEIGHT = 96, 64  # of the input; the picture is 16 rows lower, so 8 are padded on each side
PICTURE_HEIGHT, PAD = 48, 8
STEP = 8
LADDER = {'score_threshold': 0.4, 'iou_threshold': 0.4, 'max_detections': 60}
SETTINGS: dict[str, dict[str, Any]] = {
    "the ladder's own": {},
    'agnostic': {'class_aware_nms': False},
    'seven': {'max_detections': 7},
    'people and buses': {'class_filter': ('person', 'bus')},
    'strict with cars': {'class_thresholds': {'car': 0.5, 'person': 0.35}},
    'all at once': {
        'score_threshold': 0.45, 'class_thresholds': {'bus': 0.2}, 'iou_threshold': 0.2,
        'class_aware_nms': False, 'max_detections': 12, 'class_filter': ('bus', 'car'),
    },
}


def picture() -> np.ndarray:
    """uint8 [48, 96, 3], RGB."""
    rows, columns, colors = np.ogrid[:PICTURE_HEIGHT, :WIDTH, :3]
    waves = np.sin(0.21 * columns + 1.3 * colors) + np.sin(0.17 * rows * (1 + colors))
    return np.round(127.5 + 60 * waves).astype(np.uint8)


def network() -> Any:
    """One box and three scores for each 8 x 8 pixels: [1, 3, 64, 96] -> [1, 7, 96]."""
    import torch
    from torch import nn

    class Golden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 7, STEP, STEP)
            count = self.conv.weight.numel()
            weight = torch.sin(0.37 * torch.arange(count, dtype=torch.float64) ** 1.1) * 0.12
            with torch.no_grad():
                self.conv.weight.copy_(weight.reshape(self.conv.weight.shape))
                self.conv.bias.copy_(torch.linspace(-0.4, 0.2, 7))
            rows, columns = torch.meshgrid(
                torch.arange(HEIGHT // STEP), torch.arange(WIDTH // STEP), indexing='ij')
            centres = (torch.stack([columns, rows]).float() + 0.5) * STEP
            self.register_buffer('centres', centres.reshape(1, 2, -1))

        def forward(self, x):
            y = self.conv(x).flatten(2)
            low = self.centres - 4 - 14 * torch.sigmoid(y[:, :2])
            high = self.centres + 4 + 14 * torch.sigmoid(y[:, 2:4])
            return torch.cat([low, high, torch.sigmoid(0.5 * y[:, 4:] - 0.8)], 1)

    return Golden().eval()


def golden() -> dict[str, list[list[float]]]:
    """By setting: rows of x1, y1, x2, y2 (picture pixels), score, class; best first."""
    return json.loads(FILE.read_text())


def make_ladder(folder: Path) -> Any:
    """The network as a ladder of one level."""
    import torch

    from uav_prune_perception.export.onnx_export import export_onnx
    from uav_prune_perception.ladder import Accuracy, BoxesScores, InputSpec, LadderWriter

    writer = LadderWriter(
        folder, name='golden', task='detection', classes=CLASSES,
        input=InputSpec(WIDTH, HEIGHT, mean=(0.5,) * 3, std=(0.25,) * 3),
        decode=BoxesScores(**LADDER),
        provenance={'created': '2026-01-01T00:00:00Z', 'method': 'none', 'seed': 0, 'recipe': {},
                    'data_sha256': '0' * 64, 'packages': {}},
    )
    with writer:
        export_onnx(network(), torch.zeros(1, 3, HEIGHT, WIDTH),
                    writer.level_folder('100') / 'model.onnx',
                    input_name='images', output_name='predictions')
        writer.add_level('100', kept_macs=1.0, macs=1, params=1,
                         accuracy=Accuracy('mAP50', 0.5, 'made up', 1))
        return writer.commit()


def _reference(settings: dict[str, Any], candidates: list[list[float]]) -> list[list[float]]:
    """One candidate after the other, in float64."""
    use = {**LADDER, 'class_aware_nms': True, 'class_thresholds': {}, **settings}
    found = []
    for row in candidates:
        best = None
        for label, name in enumerate(CLASSES):
            score = row[4 + label]
            least = use['class_thresholds'].get(name, use['score_threshold'])
            wanted = name in use.get('class_filter', CLASSES)
            if wanted and score >= least and (best is None or score > row[4 + best]):
                best = label
        if best is not None:
            found.append([*row[:4], row[4 + best], best])
    kept: list[list[float]] = []
    for row in sorted(found, key=lambda row: -row[4]):
        rivals = [k for k in kept if k[5] == row[5] or not use['class_aware_nms']]
        if all(_iou(row, rival) <= use['iou_threshold'] for rival in rivals):
            kept.append(row)
    kept = kept[:use['max_detections']]
    out = []
    for x1, y1, x2, y2, score, label in kept:
        box = [max(0.0, x1), max(0.0, y1 - PAD), min(WIDTH, x2), min(PICTURE_HEIGHT, y2 - PAD)]
        if box[2] > box[0] and box[3] > box[1]:
            out.append([round(value, 4) for value in (*box, score)] + [label])
    return out


def _iou(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return width * height / (sum(areas) - width * height)


def _write() -> None:
    import torch

    image = np.full((HEIGHT, WIDTH, 3), 114, np.uint8)
    image[PAD:PAD + PICTURE_HEIGHT] = picture()
    x = torch.from_numpy(image).double().permute(2, 0, 1)[None]
    with torch.no_grad():
        output = network().double()((x / 255 - 0.5) / 0.25)[0].T.tolist()
    assert not any(math.isnan(value) for row in output for value in row)
    found = {name: _reference(settings, output) for name, settings in SETTINGS.items()}
    FILE.write_text(json.dumps(found, indent=1).replace('\n   ', ' ').replace('\n  ]', ']') + '\n')
    for name, rows in found.items():
        print(f'{name}: {len(rows)} boxes')


if __name__ == '__main__':
    _write()
