# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune build``: TensorRT plans of a ladder, on the machine that will fly them."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any


def run_build(options: argparse.Namespace) -> int:
    """Build what is missing; 0 if every plan that was asked for is there at the end.

    Raises:
        LadderError: the ladder is damaged, or has no such variant.
        EngineError: no TensorRT or no GPU here, or TensorRT refuses a level.
    """
    from uav_prune_perception.ladder import PRECISIONS, open_ladder
    from uav_prune_perception.onboard.engines.tensorrt_build import build_level, machine
    from uav_prune_perception.onboard.engines.tensorrt_cache import PlanCache

    ladder = open_ladder(options.ladder)
    cache = PlanCache()
    asked = PRECISIONS if options.precision == 'all' else (options.precision,)
    pairs = [
        (level, precision)
        for level in ladder.levels
        for precision in asked
        if options.precision != 'all' or (precision in level.precisions and precision != 'int8')
    ]
    here = machine()
    rows = []
    for level, precision in pairs:
        key = here.key(ladder, level, precision)
        fresh = False
        if not options.list:
            _, fresh = build_level(
                here, ladder, level, precision, cache, again=options.again, tell=_tell
            )
        facts = cache.facts(key)
        rows.append({
            'level': level.name, 'precision': precision, 'built_now': fresh,
            'plan': str(cache.plan(key)) if facts else None,
            'why_not': None if facts else cache.why_not(key),
            'bytes': facts and facts['bytes'], 'build_s': facts and facts.get('build_s'),
        })
    if options.json:
        print(json.dumps({'tensorrt': here.trt.__version__, 'gpu': here.gpu.document(),
                          'plans': rows}, indent=1))
    else:
        _print(rows, f'TensorRT {here.trt.__version__}, {here.gpu.name}')
    return 0 if all(row['plan'] for row in rows) else 1


def _print(rows: list[dict[str, Any]], title: str) -> None:
    print(title)
    for row in rows:
        name = f'level {row["level"]} {row["precision"]}'
        if row['plan'] is None:
            print(f'{name}: missing: {row["why_not"]}')
            continue
        state = 'built' if row['built_now'] else 'is there'
        print(f'{name}: {state}, {row["bytes"] / 2**20:.1f} MiB, took {row["build_s"]} s, '
              f'{row["plan"]}')


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
