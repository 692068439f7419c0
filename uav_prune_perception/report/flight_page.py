# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The one-page report of a flight: the ladder, what happened, and why."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator

from uav_prune_perception.ladder import Ladder

from .flight_record import FlightRecord
from .ladder_plots import pareto_plots
from .page import cards, heading, image, page, table
from .plots import flight_plot


def flight_page(ladder: Ladder, record: FlightRecord) -> str:
    """Self-contained HTML."""
    return page(record.title, _parts(ladder, record))


def final_counters(record: FlightRecord) -> dict[str, int]:
    """The node's last frame accounting: received, processed, replaced, stale, failed."""
    if not record.statistics:
        return {}
    values = record.statistics[-1].values
    keys = ('received', 'processed', 'replaced', 'stale', 'failed')
    return {key: int(values[key]) for key in keys if key in values}


def seconds_per_level(record: FlightRecord) -> dict[str, float]:
    """Seconds spent on each level."""
    total: dict[str, float] = {}
    for level, start, end in record.level_spans():
        total[level] = total.get(level, 0.0) + end - start
    return total


def recall_per_level(record: FlightRecord) -> dict[str, tuple[int, int]]:
    """(ground-truth boxes found, ground-truth boxes) on the frames flown at each level."""
    total: dict[str, tuple[int, int]] = {}
    for frame in record.frames:
        found, truth = total.get(frame.level, (0, 0))
        total[frame.level] = (found + frame.matched, truth + frame.truth)
    return total


def quantile(values: list[float], q: float) -> float:
    """Nearest-rank quantile, NaN for no values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else math.nan


def _parts(ladder: Ladder, record: FlightRecord) -> Iterator[str]:
    yield f'<h1>{html.escape(record.title)}</h1>'
    yield (
        f'<p class="lead">{html.escape(record.started)} · {html.escape(record.device)} · '
        f'{html.escape(record.camera)} · {html.escape(record.source)}</p>'
    )
    yield cards(_headline(ladder, record))
    yield heading('The flight', 'What ran, how old each answer was, and what the node was told.')
    yield flight_plot(record, [level.name for level in ladder.levels])
    yield heading('Why the level changed', 'Each change as the node explained it on ~/level.')
    yield table(
        ['t', 'level', 'from', 'code', 'reason'],
        [[f'{c.t_s:.1f} s', c.level, c.previous, c.code, c.reason] for c in record.levels],
        wide=4,
    )
    yield heading('The ladder', 'Accuracy is that of the exported file on the test split.')
    device = record.device if all(record.device in one.profiles for one in ladder.levels) else ''
    yield pareto_plots([ladder], device)
    yield _ladder_table(ladder, record)
    if record.samples:
        yield heading('What the camera saw', 'One frame at each level that flew.')
        pictures = ''.join(image(sample.jpeg_base64, sample.caption) for sample in record.samples)
        yield f'<div class="frames">{pictures}</div>'
    yield _footer(ladder)


def _headline(ladder: Ladder, record: FlightRecord) -> list[tuple[str, str]]:
    counters = final_counters(record)
    ages = [frame.age_ms for frame in record.frames]
    top, low = ladder.levels[0], ladder.levels[-1]
    span = f'{top.macs / 1e6:.0f} to {low.macs / 1e6:.0f} million MACs'
    median, tail = quantile(ages, 0.5), quantile(ages, 0.99)
    return [
        (f'{len(ladder.levels)} levels', span),
        (
            f'{top.accuracy.value:.3f} → {low.accuracy.value:.3f}',
            f'{top.accuracy.metric}, heaviest to lightest',
        ),
        (f'{max(0, len(record.levels) - 1)} changes', f'of level in {record.duration_s:.0f} s'),
        (f'{median:.0f} / {tail:.0f} ms', 'image to detection, p50 / p99'),
        (
            f'{counters.get("processed", 0)} of {counters.get("received", 0)}',
            'frames processed of those received',
        ),
    ]


def _ladder_table(ladder: Ladder, record: FlightRecord) -> str:
    seconds, recall = seconds_per_level(record), recall_per_level(record)
    rows = []
    for level in ladder.levels:
        profile = level.profiles.get(record.device)
        found, truth = recall.get(level.name, (0, 0))
        rows.append([
            level.name,
            f'{100 * level.kept_macs:.0f} %',
            f'{level.macs / 1e6:.1f} M',
            f'{level.params / 1e3:.0f} k',
            f'{level.files["model.onnx"].bytes / 1024:.0f} KiB',
            f'{level.accuracy.value:.3f}',
            f'{profile.latency_ms_p50:.1f} / {profile.latency_ms_p99:.1f}' if profile else '–',
            f'{seconds.get(level.name, 0.0):.0f} s',
            f'{100 * found / truth:.0f} % of {truth}' if truth else '–',
        ])
    head = ['level', 'MACs kept', 'MACs', 'params', 'ONNX', ladder.levels[0].accuracy.metric,
            'engine ms p50 / p99', 'flown', 'objects found in flight']
    return table(head, rows)


def _footer(ladder: Ladder) -> str:
    origin = ladder.provenance
    packages = ', '.join(f'{name} {version}' for name, version in origin['packages'].items())
    accuracy = ladder.levels[0].accuracy
    text = (
        f'Ladder “{ladder.name}”: method {origin["method"]}, seed {origin["seed"]}, made '
        f'{origin["created"]}; accuracy on {accuracy.n} images of {accuracy.split}; data sha256 '
        f'{origin["data_sha256"][:16]}…; {packages}.'
    )
    return f'<footer>{html.escape(text)}</footer>'
