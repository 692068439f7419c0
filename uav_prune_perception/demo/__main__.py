# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`python -m uav_prune_perception.demo`: the main job, end to end."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from uav_prune_perception.ladder import Ladder, LadderError, open_ladder
from uav_prune_perception.report.flight_page import (
    final_counters,
    flight_page,
    quantile,
    recall_per_level,
    seconds_per_level,
)
from uav_prune_perception.report.flight_record import FlightRecord

from .camera import Camera, generated_camera, hit_uav_camera
from .flight import CONFIG, FlightError, FlightPlan, fly, private_environment
from .scenario import MadeUpScenario, RecordedScenario, Scenario
from .screen import FlightScreen

FLIGHT_S = 75.0  # the scenario is played faster or slower to fit


def main(argv: list[str] | None = None) -> int:
    """Exit code 0 when the whole job was done."""
    options = _arguments().parse_args(argv)
    console = Console(soft_wrap=True)
    try:
        return _run(options, console)
    except (FlightError, LadderError, OSError, subprocess.CalledProcessError) as error:
        print(f'demo: error: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('demo: stopped; run it again to go on from here', file=sys.stderr)
        return 130


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='make demo', description=__doc__)
    parser.add_argument('--data', type=Path, help='folder with hit_uav/ and telemetry/: fly those')
    parser.add_argument('--work', type=Path, default=Path('.demo'), help='where results go')
    parser.add_argument('--seconds', type=float, help='length of the flight')
    parser.add_argument('--fps', type=float, default=15.0)
    parser.add_argument('--deadline-ms', type=float, help='default: from the measured profile')
    return parser


def _run(options: argparse.Namespace, console: Console) -> int:
    started = time.monotonic()
    real = options.data is not None
    work = options.work / ('hit_uav' if real else 'generated')
    work.mkdir(parents=True, exist_ok=True)
    console.rule('[bold]1  prune: one network becomes a ladder')
    ladder = _ladder(work / 'ladder', options.data)
    console.rule('[bold]2  fly: the node in its own process, over real DDS')
    camera: Camera
    scenario: Scenario
    if real:
        camera = hit_uav_camera(options.data / 'hit_uav')
        scenario = RecordedScenario(options.data / 'telemetry')
        title = 'HIT-UAV: pruned, flown, measured'
    else:
        camera, scenario = generated_camera(), MadeUpScenario()
        title = 'Generated scenes: pruned, flown, measured'
    plan = _plan(options, ladder, title, work)
    console.print(f'camera: {camera.description}; telemetry: {scenario.description}')
    console.print(f'deadline {plan.deadline_ms:.1f} ms; node log: {plan.log}')
    domain = private_environment()['ROS_DOMAIN_ID']
    console.print(
        f'look on from a ROS 2 terminal of this machine: ROS_DOMAIN_ID={domain} '
        'ros2 topic echo /perception/level'
    )
    with FlightScreen(console, ladder, plan.duration_s) as screen:
        record = fly(ladder, camera, scenario, plan, screen.tick)
    record.save(work / 'flight.json')
    report = work / 'report.html'
    report.write_text(flight_page(ladder, record), encoding='utf-8')
    console.rule('[bold]3  result')
    _summary(console, ladder, record)
    console.print(f'report: [bold]{report}[/bold]   ladder: {ladder.folder}')
    console.print(f'all of it took {(time.monotonic() - started) / 60:.1f} minutes')
    return 0


def _ladder(folder: Path, data: Path | None) -> Ladder:
    """The ladder that stands there already, or a new one from the recipe."""
    recipe = CONFIG / 'recipes' / f'{"hit_uav" if data else "generated_scenes"}_detector.yaml'
    if not folder.exists():
        command = [sys.executable, '-m', 'uav_prune_perception.cli.main', 'prune', str(recipe),
                   '-o', str(folder), '--run-folder', str(folder.with_name('run'))]
        if data:
            command += ['--set', f'data.root={data / "hit_uav"}']
        subprocess.run(command, check=True)
    ladder = open_ladder(folder)
    subprocess.run(
        [sys.executable, '-m', 'uav_prune_perception.cli.main', 'inspect', str(folder)], check=True
    )
    return ladder


def _plan(
    options: argparse.Namespace, ladder: Ladder, title: str, work: Path
) -> FlightPlan:
    top = ladder.levels[0]
    device, profile = next(iter(top.profiles.items()))
    # Met with ease by the heaviest level on a quiet machine, missed when the cores are loaded.
    deadline = options.deadline_ms or round(1.6 * profile.latency_ms_p50 + 4.0, 1)
    return FlightPlan(
        title=title, fps=options.fps, deadline_ms=deadline, log=work / 'node.log', device=device,
        duration_s=options.seconds or FLIGHT_S,
    )


def _summary(console: Console, ladder: Ladder, record: FlightRecord) -> None:
    seconds, recall = seconds_per_level(record), recall_per_level(record)
    table = Table(box=None)
    metric = ladder.levels[0].accuracy.metric
    for column in ('level', 'MACs', metric, 'engine p50 ms', 'flown', 'objects found in flight'):
        table.add_column(column, justify='right')
    for level in ladder.levels:
        profile = level.profiles.get(record.device)
        found, truth = recall.get(level.name, (0, 0))
        table.add_row(
            level.name, f'{level.macs / 1e6:.1f} M', f'{level.accuracy.value:.3f}',
            f'{profile.latency_ms_p50:.1f}' if profile else '–',
            f'{seconds.get(level.name, 0):.0f} s',
            f'{100 * found / truth:.0f} % of {truth}' if truth else '–',
        )
    console.print(table)
    counters = final_counters(record)
    ages = [frame.age_ms for frame in record.frames]
    changes = max(0, len(record.levels) - 1)
    console.print(
        f'{changes} level changes in {record.duration_s:.0f} s; image to detection p50 '
        f'{quantile(ages, 0.5):.0f} ms, p99 {quantile(ages, 0.99):.0f} ms'
    )
    console.print('frames: ' + ', '.join(f'{value} {key}' for key, value in counters.items()))


if __name__ == '__main__':
    sys.exit(main())
