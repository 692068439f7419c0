# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which third-party networks can be pruned: ours beside Torch-Pruning.

Networks are those of `zoo.py`, with random weights. Each network and tool runs in a process of
its own with a limit of CPU time; every finished row is written at once, and a row that is there
already is not run again (``--again`` does).

    python benchmarks/coverage.py --out coverage                        # everything
    python benchmarks/coverage.py --only tv:resnet18 --tools ours       # one

A network counts as handled when MACs really go (at most 90 % left), the result equals the masked
dense network (relative error below 1e-9 in float64, 1e-4 in float32), gives the same output
after a reload (ours: plan + safetensors; Torch-Pruning: pickle), and the same numbers in ONNX
Runtime (1e-3; ``--no-onnx`` leaves that out).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coverage_measure import ONNX_TOLERANCE
from zoo import ALL, SETS, build, import_torchvision

LEFT = 0.9
TOOLS = ('ours', 'theirs')
HANDFUL = 8


def handled(row: dict[str, Any], *, onnx: bool = True) -> bool:
    """Every condition of the module's docstring."""
    return (
        'failed' not in row
        and row['left'] <= LEFT
        and row['error'] < (1e-9 if row.get('dtype') == 'float64' else 1e-4)
        and row.get('error32', 0) < 1e-4
        and bool(row['reload'])
        and (not onnx or row.get('onnx', 1.0) < ONNX_TOLERANCE)
    )


def in_processes(
    tool: str, names: list[str], options: argparse.Namespace
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of some networks as they finish; a new interpreter for each handful."""
    for start in range(0, len(names), HANDFUL):
        command = [*options.prefix.split(), sys.executable, __file__, '--child', tool]
        command += ['--limit', str(options.limit), '--only', *names[start : start + HANDFUL]]
        command += ['--no-onnx'] * (not options.onnx)
        environment = {**os.environ, 'YOLO_OFFLINE': '1', 'HF_HUB_OFFLINE': '1'}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as process:
            for line in process.stdout or ():
                if line.startswith('ROW '):
                    _, name, row = line.split(' ', 2)
                    yield name, json.loads(row)


def children(tool: str, names: list[str], options: argparse.Namespace) -> None:
    """Fork a process for each network and print its row.

    Libraries are imported and warmed up before the fork, so neither counts. The limit is of
    processor time, so that the load of the machine does not matter.
    """
    import_torchvision()
    tiny_row(tool)
    for name in names:
        pid = os.fork()
        if pid == 0:
            resource.setrlimit(resource.RLIMIT_CPU, (options.limit, options.limit + 5))
            print('\nROW', name, json.dumps(row_of(tool, name, options.onnx)), flush=True)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            late = os.WTERMSIG(status) in {signal.SIGXCPU, signal.SIGKILL}
            text = f'not done in {options.limit} s' if late else f'died: {os.WTERMSIG(status)}'
            print('\nROW', name, json.dumps({'failed': text}), flush=True)


def row_of(tool: str, name: str, onnx: bool) -> dict[str, Any]:
    """One network, one tool; a failure is a row too."""
    try:
        if tool == 'ours':
            from coverage_ours import run
        else:
            from coverage_torch_pruning import run
        return run(build(name), onnx=onnx)
    except Exception as error:
        text = (str(error).strip().splitlines() or [''])[0]
        return {
            'failed': f'{type(error).__name__}: {text[:400]}',
            'trace': traceback.format_exc()[-1500:],
        }


def tiny_row(tool: str) -> None:
    """Load whatever is loaded on first use."""
    import torch

    torch.set_num_threads(1)
    example = torch.randn(1, 3, 8, 8)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 4, 3)).eval()
    if tool == 'ours':
        from uav_prune_perception.channels import prune

        prune(network, example)
    else:
        import torch_pruning

        torch_pruning.DependencyGraph().build_dependency(network, example)


def tried_onnx(row: dict[str, Any]) -> bool:
    """Whether the row has a word on ONNX at all."""
    return 'onnx' in row or 'onnx_failed' in row


def cell(row: dict[str, Any] | None) -> str:
    """How a result reads in the table."""
    if row is None:
        return 'not run'
    if 'failed' in row:
        return f'✗ {row["failed"][:60]}'.replace('|', '/')
    mark = '✓' if handled(row, onnx=tried_onnx(row)) else '✗'
    single = f' / {row["error32"]:.0e}' if 'error32' in row else ''
    reload = '' if row['reload'] else ', reload differs'
    tail = ''
    if tried_onnx(row):
        tail = f', ONNX {row["onnx"]:.0e}' if 'onnx' in row else ', no ONNX'
    return f'{mark} {row["left"]:.0%}, {row["error"]:.0e}{single}{reload}{tail}'


def memory(row: dict[str, Any] | None) -> str:
    """CPU seconds, and megabytes above what the process held before."""
    if row is None or 'seconds' not in row:
        return ''
    grown = f', {row["megabytes"] - row["megabytes_before"]:.0f} MB' if 'megabytes' in row else ''
    return f'{row["seconds"]:.1f} s{grown}'


def table(results: dict[str, Any]) -> str:
    """Markdown, in the order of `zoo.py`."""
    lines = [
        '| network | ours: MACs left, error fp64 / fp32, ONNX Runtime | CPU, memory '
        '| Torch-Pruning: MACs left, error, ONNX Runtime |',
        '|---|---|---|---|',
    ]
    rows = {name: results[name] for name in ALL if name in results}
    for name, row in rows.items():
        ours, theirs = row.get('ours'), row.get('theirs')
        old = ' *' if ours and 'earlier' in ours else ''
        lines.append(f'| {name}{old} | {cell(ours)} | {memory(ours)} | {cell(theirs)} |')
    return '\n'.join([*lines, '', *counts(rows)]) + '\n'


def counts(rows: dict[str, Any]) -> list[str]:
    """How many of how many."""
    lines: list[str] = []
    for tool, name in zip(TOOLS, ('Ours', 'Torch-Pruning'), strict=True):
        mine = [row[tool] for row in rows.values() if tool in row]
        good = [row for row in mine if handled(row, onnx=tried_onnx(row))]
        exported = sum('onnx' in row for row in good)
        lines.append(f'{name}: {len(good)} of {len(mine)}, {exported} of them through ONNX too.')
    both = [row for row in rows.values() if all(tool in row for tool in TOOLS)]
    if both:
        good_of = [sum(handled(r[t], onnx=tried_onnx(r[t])) for r in both) for t in TOOLS]
        lines.append(
            f'Where both ran: ours {good_of[0]}, Torch-Pruning {good_of[1]} of {len(both)}.'
        )
    return lines


def main() -> None:
    """Run everything asked for; results are written after each row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', nargs='+', metavar='NAME', help='library:name, see zoo.py')
    parser.add_argument('--sets', nargs='+', choices=list(SETS), default=list(SETS))
    parser.add_argument('--tools', nargs='+', choices=TOOLS, default=list(TOOLS))
    parser.add_argument('--limit', type=int, default=300, help='CPU seconds per network and tool')
    parser.add_argument('--prefix', default='', help='before each command, e.g. "nice -n 10"')
    parser.add_argument('--again', choices=('all', 'failed'), help='run rows that exist already')
    parser.add_argument('--no-onnx', dest='onnx', action='store_false')
    parser.add_argument('--tables', action='store_true', help='run nothing, only write OUT.md')
    parser.add_argument('--out', default='coverage', help='reads and writes OUT.json, OUT.md')
    parser.add_argument('--child', choices=TOOLS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    named = [entry.partition('@')[0] for chosen in options.sets for entry in SETS[chosen]]
    names = list(dict.fromkeys(options.only or named))
    if unknown := set(names) - set(ALL):
        parser.error(f'unknown: {", ".join(sorted(unknown))}')
    if options.child:
        children(options.child, names, options)
        return
    store = Path(f'{options.out}.json')
    results: dict[str, Any] = json.loads(store.read_text()) if store.exists() else {}
    for tool in () if options.tables else options.tools:
        todo = [n for n in names if wanted(results.get(n, {}).get(tool), options)]
        for name, row in in_processes(tool, todo, options):
            results.setdefault(name, {})[tool] = row
            print(name, tool, cell(row), flush=True)
            store.write_text(json.dumps(results, indent=1) + '\n')
    Path(f'{options.out}.md').write_text(table(results))


def wanted(row: dict[str, Any] | None, options: argparse.Namespace) -> bool:
    """Whether this row is to be run (again)."""
    if row is None or options.again == 'all':
        return True
    return options.again == 'failed' and not handled(row, onnx=options.onnx)


if __name__ == '__main__':
    main()
