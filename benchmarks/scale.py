# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What tracing and compaction cost at full image size: ours beside Torch-Pruning.

The tools take turns, each run in a forked process of its own with libraries warm; CPU seconds and
the growth of the largest resident size. Ours includes the proof (four dense and four compact
forwards in double precision); Torch-Pruning proves nothing.

    python benchmarks/scale.py --rounds 3 --out scale
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coverage import tiny_row
from coverage_ours import peak_megabytes
from coverage_torch_pruning import output_layers
from zoo import build, import_torchvision

SIZES = {'tv:resnet50': 224, 'yolo:yolov8n': 640}


def ours(model: Any, example: Any) -> None:
    """Trace, cut half of every group, prove."""
    from uav_prune_perception.channels import prune

    prune(model, example, ratio=0.5)


def theirs(model: Any, example: Any) -> None:
    """Build the dependency graph and cut half of every group."""
    import torch_pruning as tp

    tp.pruner.BasePruner(
        model,
        example[0],
        importance=tp.importance.MagnitudeImportance(p=1),
        pruning_ratio=0.5,
        ignored_layers=output_layers(model),
    ).step()


TOOLS: dict[str, Callable[[Any, Any], None]] = {'ours': ours, 'theirs': theirs}


def one_run(tool: str, name: str) -> dict[str, Any]:
    """A row from a forked process."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, json.dumps(row_of(tool, name)).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader) as pipe:
        return json.loads(pipe.read() or '{"failed": "died"}')


def row_of(tool: str, name: str) -> dict[str, Any]:
    """CPU seconds and megabytes, or what went wrong."""
    network = build(name, SIZES[name])
    model, before = network.factory(), peak_megabytes()
    started = time.process_time()
    try:
        TOOLS[tool](model, network.example)
    except Exception as error:
        return {'failed': f'{type(error).__name__}: {str(error)[:80]}'}
    return {
        'seconds': time.process_time() - started,
        'megabytes': peak_megabytes() - before,
        'peak': peak_megabytes(),
    }


def main() -> None:
    """Measure in turns, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--out', default='scale', help='writes OUT.md and OUT.json')
    options = parser.parse_args()
    import_torchvision()
    for tool in TOOLS:
        tiny_row(tool)
    rows: dict[str, list[dict[str, Any]]] = {}
    for _ in range(options.rounds):
        for name in SIZES:
            for tool in TOOLS:
                rows.setdefault(f'{name} {tool}', []).append(one_run(tool, name))
    lines = ['| network | tool | CPU s | grown by, MB | peak, MB |', '|---|---|---|---|---|']
    for key, runs in rows.items():
        name, tool = key.split()
        good = [run for run in runs if 'failed' not in run]
        if not good:
            lines.append(f'| {name}, {SIZES[name]} px | {tool} | {runs[0]["failed"]} | | |')
            continue
        cells = [
            statistics.median(run[what] for run in good)
            for what in ('seconds', 'megabytes', 'peak')
        ]
        lines.append(
            f'| {name}, {SIZES[name]} px | {tool} | '
            f'{cells[0]:.1f} | {cells[1]:.0f} | {cells[2]:.0f} |'
        )
    text = '\n'.join(lines) + '\n'
    print(text)
    Path(f'{options.out}.json').write_text(json.dumps(rows, indent=1) + '\n')
    Path(f'{options.out}.md').write_text(text)


if __name__ == '__main__':
    main()
