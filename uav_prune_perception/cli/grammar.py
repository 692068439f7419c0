# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line's grammar. Imports nothing heavy: help must answer at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from uav_prune_perception import __version__

from .completion import PrintCompletion
from .grammar_onboard import add_onboard

PRUNE_EXAMPLES = """\
examples:
  uav-prune prune config/recipes/generated_scenes_detector.yaml -o scenes_ladder
  uav-prune prune my_recipe.yaml -o ladder --set train.epochs=5 --set prune.levels.1.kept_macs=0.6
  torchrun --nproc_per_node=4 -m uav_prune_perception.cli.main prune my_recipe.yaml -o ladder

What an earlier run has finished is used again; kill it at any time and start it again.
"""

REPLAY_EXAMPLES = """\
examples:
  uav-prune replay ladder --source flight.mcap --video flight.mp4 --bag detections
  uav-prune replay ladder --source video.mp4 --level 50
  uav-prune replay ladder --source pictures/ --hz 30 --telemetry battery.csv
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line's grammar. Imports nothing heavy: help must answer at once."""
    parser = argparse.ArgumentParser(
        prog='uav-prune', description='Prune a CNN into a ladder of engines.'
    )
    parser.add_argument('--version', action='version', version=f'uav-prune {__version__}')
    parser.add_argument('--print-completion', action=PrintCompletion)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--debug', action='store_true', help='show tracebacks')
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    _add_init(commands, common)
    _add_prune(commands, common)
    _add_inspect(commands, common)
    _add_data(commands, common)
    _add_replay(commands, common)
    _add_reports(commands, common)
    add_onboard(commands, common)
    doctor = commands.add_parser(
        'doctor', parents=[common], help='what works on this machine, and how to mend the rest'
    )
    doctor.add_argument('--json', action='store_true', help='print the checks as JSON')
    return parser


def _add_init(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
) -> None:
    init = commands.add_parser(
        'init', parents=[common], help='write a commented recipe',
        description='Write a recipe from five questions; what a flag answers is not asked.',
    )
    init.add_argument('recipe', type=Path, metavar='RECIPE.yaml')
    init.add_argument('--data', metavar='PATH', help='pictures: folder, data.yaml or "generated"')
    init.add_argument('--task', choices=('detection', 'classification'), help='else guessed')
    init.add_argument('--size', metavar='WxH', help='input of the network')
    init.add_argument('--grey', action='store_true', help='thermal or grey pictures')
    init.add_argument(
        '--network', metavar='NAME', help='a reference one, ultralytics, or module:factory'
    )
    init.add_argument('--weights', metavar='FILE', help='trained weights, a .pt of ultralytics')
    init.add_argument('--method', metavar='NAME', help='l1, adasp, l1rr, acp, daar, ...')
    init.add_argument('--levels', metavar='100,70,45', help='percent of the MACs that stay')
    init.add_argument('--overwrite', action='store_true', help='replace an existing recipe')


def _add_prune(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
) -> None:
    prune = commands.add_parser(
        'prune', parents=[common], help='train, prune, fine-tune, export: write a ladder',
        description='Do all that a recipe asks and write the ladder.',
        epilog=PRUNE_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    prune.add_argument('recipe', type=Path, metavar='RECIPE.yaml')
    prune.add_argument(
        '-o', '--output', type=Path, required=True, metavar='LADDER/', help='folder to write'
    )
    prune.add_argument(
        '--set', action='append', default=[], metavar='KEY=VALUE', dest='assignments',
        help='replace one value of the recipe, such as train.epochs=5 (repeatable)',
    )
    prune.add_argument('--overwrite', action='store_true', help='replace an existing ladder')
    prune.add_argument(
        '--run-folder', type=Path, metavar='FOLDER/',
        help='where finished stages lie (default: .uav_prune/<recipe>-<hash>/ beside LADDER/)',
    )
    prune.add_argument(
        '--tensorboard', action='store_true', help='also write curves into the run folder'
    )
    again = prune.add_mutually_exclusive_group()
    again.add_argument(
        '--resume', action='store_true', help='use what earlier runs have finished (the default)'
    )
    again.add_argument('--fresh', action='store_true', help='throw earlier stages away')


def _add_inspect(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
) -> None:
    inspect = commands.add_parser(
        'inspect', parents=[common], help='verify a ladder and print its levels',
        description='Verify schema, digest and checksums; print levels and provenance.',
    )
    inspect.add_argument('ladder', type=Path, metavar='LADDER/')
    inspect.add_argument('--json', action='store_true', help='print ladder.json, verified')
    inspect.add_argument(
        '--reseal', action='store_true', help='accept a hand-edited ladder.json: renew its digest'
    )


def _add_data(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
) -> None:
    data = commands.add_parser('data', help='look at a data set before training on it')
    verbs = data.add_subparsers(dest='verb', required=True, metavar='VERB')
    check = verbs.add_parser(
        'check', parents=[common], help='name every fault of a detection set',
        description='Read every label and picture; print what is there and what is wrong with it. '
        'Exit code 1 when anything is wrong.',
    )
    check.add_argument('path', type=Path, metavar='PATH', help='its folder, or a YOLO data.yaml')
    check.add_argument(
        '--format', default='auto',
        help='auto (default), yolo, coco, voc, dota, visdrone or nwpu_vhr10',
    )
    check.add_argument('--json', action='store_true', help='print counts and faults as JSON')
    check.add_argument('--sheet', type=Path, metavar='FILE.png', help='write a contact sheet')
    shown = check.add_mutually_exclusive_group()
    shown.add_argument('--show', type=int, default=20, metavar='N', help='faults shown (20)')
    shown.add_argument('--all', action='store_true', help='show every fault')


def _add_replay(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
) -> None:
    replay = commands.add_parser(
        'replay', parents=[common], help='fly a recording through a ladder, with no ROS',
        description='Run the onboard pipeline and its policy on a recorded flight, as fast as the '
        "engine can. Every picture is processed; the clock is the recording's.",
        epilog=REPLAY_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    replay.add_argument('ladder', type=Path, metavar='LADDER/')
    replay.add_argument(
        '--source', required=True, metavar='WHAT',
        help='a bag (.mcap, .db3, folder), a video, a folder of pictures, or camera:0',
    )
    replay.add_argument('--topic', help='of the pictures, where a bag has several')
    replay.add_argument('--hz', type=float, help="rate of a folder's pictures, and of --video")
    replay.add_argument(
        '--telemetry', type=Path, metavar='FILE',
        help="CSV (t_s, battery_fraction, power_w, ...) or tegrastats log, in place of the bag's",
    )
    replay.add_argument('--level', help='run only this level')
    replay.add_argument('--policy', help="as the node's policy.name")
    replay.add_argument('--deadline-ms', type=float, default=33.0, help='of the policy (33)')
    replay.add_argument('--score-threshold', type=float, help="in place of the ladder's own")
    replay.add_argument('--classes', nargs='+', metavar='NAME', help='report only these')
    replay.add_argument(
        '--class-threshold', action='append', default=[], metavar='NAME=SCORE',
        help='of one class, in place of all others; may be repeated',
    )
    replay.add_argument(
        '--nms', choices=('class_aware', 'agnostic'), help="in place of the ladder's own"
    )
    replay.add_argument('--max-detections', type=int, metavar='N', help='of one picture')
    replay.add_argument(
        '--tile-width', type=int, default=0, metavar='PX',
        help='cut pictures into overlapping tiles, for small objects in large pictures',
    )
    replay.add_argument('--tile-overlap', type=float, default=0.2, metavar='SHARE', help='(0.2)')
    replay.add_argument('--threads', type=int, default=1, help='of the engine (1)')
    replay.add_argument(
        '--engine', choices=('auto', 'onnxruntime', 'tensorrt'), default='auto',
        help='which flies (auto: TensorRT where its plans are there)',
    )
    replay.add_argument(
        '--precision', choices=('auto', 'fp32', 'fp16', 'int8', 'int8_symmetric'),
        default='fp32', help="of the levels' files (fp32)",
    )
    replay.add_argument('--limit', type=int, metavar='N', help='end after N pictures')
    replay.add_argument('--video', type=Path, metavar='OUT.mp4', help='write an annotated video')
    replay.add_argument(
        '--bag', type=Path, metavar='OUT', help='write a bag (mcap; sqlite3 if OUT ends in .db3)'
    )
    replay.add_argument('--json', action='store_true', help='print the summary as JSON')


def _add_reports(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
) -> None:
    report = commands.add_parser(
        'report', parents=[common], help='write a ladder as a page',
        description='One self-contained HTML page (or markdown): levels, classes, widths, origin.',
    )
    report.add_argument('ladder', type=Path, metavar='LADDER/')
    report.add_argument(
        '--pictures', type=Path, nargs='+', metavar='FILE', help='show these at every level'
    )
    compare = commands.add_parser(
        'compare', parents=[common], help='put ladders side by side',
        description='Print the levels of several ladders in one table; with -o also as a page.',
    )
    compare.add_argument('ladders', type=Path, nargs='+', metavar='LADDER/')
    compare.add_argument('--json', action='store_true', help='print the rows as JSON')
    for parser in (report, compare):
        parser.add_argument(
            '-o', '--output', type=Path, action='append', metavar='FILE',
            help='.html or .md (repeatable)',
        )
