# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The grammar of the commands that run on a drone too. Imports nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path

BUILD_EXAMPLES = """\
examples:
  uav-prune build ladder                        every level as fp32
  uav-prune build ladder --precision fp16       needs export.precisions: [fp32, fp16]
  uav-prune build ladder --list                 which plans there are for this machine

Plans run on the TensorRT and the GPU that built them only: build on the drone. They are kept in
$XDG_CACHE_HOME/uav_prune_perception/tensorrt (default ~/.cache). The node builds nothing unless
engine.allow_build says so.
"""

PROFILE_EXAMPLES = """\
examples:
  uav-prune profile ladder                      every precision of every level, all cores
  uav-prune profile ladder --threads 1          as a node with engine.threads 1 flies it
  uav-prune profile ladder --engine tensorrt    the plans made by "uav-prune build ladder"

The profile is written into the ladder under this machine's name (on a Jetson: with its power
mode); the node finds it there. Needs neither torch nor ROS.
"""

TELEMETRY_EXAMPLES = """\
examples:
  uav-prune telemetry                  a table that renews itself; Ctrl-C ends it
  uav-prune telemetry --once --json    for scripts
  uav-prune telemetry --root /host     in a container that sees the host's /sys under /host

Reads only; the power mode is never changed. docs/telemetry.md says what each source is.
"""

SIMULATE_EXAMPLES = """\
examples:
  uav-prune simulate                                   contention (S1), a made-up trace
  uav-prune simulate --scenario S3 --max-every 4       heat; images may be left out
  uav-prune simulate --trace my_trace.npz --scenario S1m --policies calibrated,hysteresis
  uav-prune simulate --list                            the scenarios

A trace is recorded by benchmarks/latency_trace.py. "oracle" knows the whole flight beforehand,
"load_only" the load but no single frame: no policy can reach either. docs/policy.md explains the
figures; benchmarks/policy.py does the same with many seeds and statistics.
"""
SIMULATED = 'calibrated,hysteresis,pid,alert'


def add_onboard(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
) -> None:
    """``build``, ``profile``, ``telemetry``, ``simulate``."""
    _add_build(commands, common)
    _add_profile(commands, common)
    _add_telemetry(commands, common)
    _add_simulate(commands, common)


def _add_build(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
) -> None:
    parser = commands.add_parser(
        'build', parents=[common], help='build the TensorRT plans of a ladder on this machine',
        description='Build the TensorRT plan of every level; plans that exist are kept.',
        epilog=BUILD_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('ladder', type=Path, metavar='LADDER/')
    parser.add_argument(
        '--precision', choices=('fp32', 'fp16', 'int8_symmetric', 'all'), default='fp32',
        help='all = every one that the ladder has (default fp32)',
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--again', action='store_true', help='build also what is there already')
    what.add_argument('--list', action='store_true', help='build nothing, say what is there')
    parser.add_argument('--json', action='store_true', help='print the plans as JSON')


def _add_profile(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
) -> None:
    parser = commands.add_parser(
        'profile', parents=[common], help='measure the levels of a ladder on this machine',
        description='Measure latency, throughput, memory and energy of every level, and write '
        'them into the ladder.',
        epilog=PROFILE_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('ladder', type=Path, metavar='LADDER/')
    parser.add_argument(
        '--runs', type=_positive, default=200, help='timed inferences of each level (default 200)'
    )
    parser.add_argument(
        '--threads', type=_natural, default=0, help='of the engine; 0 = all cores (default)'
    )
    parser.add_argument(
        '--engine', choices=('auto', 'onnxruntime', 'tensorrt'), default='auto',
        help='auto: TensorRT where every level has a plan, else ONNX Runtime (default)',
    )
    parser.add_argument(
        '--precision', choices=('all', 'fp32', 'fp16', 'int8', 'int8_symmetric'), default='all',
        help='of the files (default: all that the ladder has and the engine is made for)',
    )
    parser.add_argument(
        '--cuda-graph', action='store_true', help='TensorRT: as with engine.cuda_graph of the node'
    )
    parser.add_argument('--json', action='store_true', help='print the profile as JSON')
    parser.add_argument('--dry-run', action='store_true', help='do not write into the ladder')


def _add_telemetry(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
) -> None:
    parser = commands.add_parser(
        'telemetry', parents=[common], help='what the sensors of this machine say, live',
        description='Print what this machine offers: power, heat, load, over-current events, and '
        'what the policy makes of it.',
        epilog=TELEMETRY_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--once', action='store_true', help='print once and end')
    parser.add_argument('--json', action='store_true', help='print JSON, one object a line')
    parser.add_argument(
        '--root', type=Path, default=Path('/'), metavar='DIR', help='where sys and proc lie'
    )
    parser.add_argument(
        '--period', type=float, default=1.0, metavar='S', help='seconds between two tables'
    )


def _add_simulate(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
) -> None:
    parser = commands.add_parser(
        'simulate', parents=[common], help='fly policies through a simulated scenario',
        description='Fly policies through one scenario of the simulator and compare them.',
        epilog=SIMULATE_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--scenario', default='S1', metavar='S0..S8', help='default S1')
    parser.add_argument('--trace', type=Path, metavar='FILE.npz', help='recorded; else made up')
    parser.add_argument(
        '--policies', default=SIMULATED, metavar='A,B',
        help=f'default {SIMULATED}; oracle is added',
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--duration', type=float, default=300.0, metavar='S', help='default 300')
    parser.add_argument(
        '--max-every', type=int, default=1, metavar='N',
        help='calibrated may take only every N-th image',
    )
    parser.add_argument('--json', action='store_true', help='print every figure as JSON')
    parser.add_argument('--list', action='store_true', help='print the scenarios and end')


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f'{text} is not positive')
    return value


def _natural(text: str) -> int:
    if (value := int(text)) < 0:
        raise argparse.ArgumentTypeError(f'{text} is negative')
    return value
