# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the node itself costs per frame, beside one written the usual way, over real DDS.

    python benchmarks/node.py [--seconds 10] [--rounds 3] [--json OUT]

Camera, node and client are three processes. The engine takes a fixed time and no CPU
(`fixed_time_engine`), so whatever else passes between the camera's stamp and the moment the node
publishes (DDS's source time) is overhead: transport, conversion, letterbox, decoding, messages.
What the picture is under way before DDS has it (`transport_node`) is no node's doing: without it,
overhead is the node's own. Age is that at the client's receipt. The nodes take turns, round by
round, so that a busy machine disturbs all alike.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from uav_prune_perception.ros.dds_profile import profile_variable

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
SIZES = ('640x480', '1280x720', '1920x1080')
NODES = ('ours', 'usual')
SIDES = (*NODES, 'transport', 'camera')
RATE_HZ = 30.0
SETTLE_S = 2.0
LIMIT_S = 30.0


def main() -> int:
    """Run one side of the benchmark, or all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=10.0, help='per node, size and round')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--inference-ms', type=float, default=20.0)
    parser.add_argument('--sizes', nargs='+', default=list(SIZES), metavar='WIDTHxHEIGHT')
    parser.add_argument('--json', type=Path, help='write every run here')
    parser.add_argument('--side', choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument('--log', type=Path, help=argparse.SUPPRESS)
    parser.add_argument('--size', help=argparse.SUPPRESS)
    options, ros = parser.parse_known_args()
    if options.side == 'camera':
        width, height = (int(v) for v in options.size.split('x'))
        return play_camera(width, height)
    if options.side == 'transport':
        import transport_node

        return transport_node.main(options.log)
    if options.side == 'usual':
        import usual_node

        return usual_node.main(options.inference_ms, options.log)
    if options.side == 'ours':
        return fly_ours(options.inference_ms, options.log, ros)
    runs = measure(options)
    print_table(runs, options.inference_ms)
    if options.json:
        options.json.write_text(json.dumps(runs, indent=1))
    return 0


def fly_ours(ms: float, log: Path, ros: list[str]) -> int:
    """The real node with the fixed-time engine in place of ONNX Runtime."""
    from fixed_time_engine import factory

    from uav_prune_perception.ros.perception_node import PerceptionNode
    from uav_prune_perception.ros.process import (
        keep_image_memory,
        run,
        use_one_thread_for_pictures,
    )

    keep_image_memory()
    use_one_thread_for_pictures()
    make = factory(ms, log)
    return run(lambda stop: PerceptionNode(stop, make), [sys.argv[0], *ros])


def play_camera(width: int, height: int) -> int:
    """Publish noise-filled pictures at a fixed rate until a signal."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image

    from uav_prune_perception.ros.process import keep_image_memory

    keep_image_memory()
    rclpy.init()
    node = rclpy.create_node('camera')
    publisher = node.create_publisher(Image, 'image', qos_profile_sensor_data)
    message = Image(width=width, height=height, step=width * 3, encoding='bgr8')
    message.header.frame_id = 'camera'
    message.data.frombytes(np.random.default_rng(0).bytes(width * height * 3))
    next_s = time.monotonic()
    while rclpy.ok():
        next_s += 1 / RATE_HZ
        time.sleep(max(0.0, next_s - time.monotonic()))
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(time.time_ns(), 10**9)
        publisher.publish(message)
    return 0


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All runs: rounds of both nodes at every size."""
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ[profile_variable()] = str(REPOSITORY / 'config/fastdds_shm.xml')
    from fixed_time_engine import make_ladder

    runs = []
    with tempfile.TemporaryDirectory() as folder:
        ladder = Path(folder, 'ladder')
        make_ladder(ladder)
        for number in range(options.rounds):
            for size in options.sizes:
                under_way_ms = transport(size, Path(folder, 'transport.json'), options.seconds)
                for name in NODES if number % 2 == 0 else NODES[::-1]:
                    log = Path(folder, f'{name}.json')
                    run = one_run(name, size, ladder, log, options)
                    run['own_p50_ms'] = run['overhead_p50_ms'] - under_way_ms
                    runs.append({**run, 'under_way_p50_ms': under_way_ms})
                    print(json.dumps(runs[-1]), flush=True)
    return runs


def transport(size: str, log: Path, seconds: float) -> float:
    """Milliseconds that a picture is under way, median; stamp to reception."""
    with side('camera', '--size', size), side('transport', '--log', str(log)):
        time.sleep(SETTLE_S + seconds)
    under_way_ms = json.loads(log.read_text())
    return float(np.median(under_way_ms[len(under_way_ms) // 4:]))


def one_run(
    name: str, size: str, ladder: Path, log: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """Start camera and node, listen for a while, stop both."""
    from benchmark_client import Client

    log.unlink(missing_ok=True)
    arguments = ['--inference-ms', str(options.inference_ms), '--log', str(log)]
    if name == 'ours':
        arguments += ['--ros-args', '-p', f'ladder.path:={ladder}']
    with Client() as client, side('camera', '--size', size), side(name, *arguments) as node:
        started = time.monotonic()
        if name == 'ours':
            client.transition('configure')
            client.transition('activate')
        client.wait_for_detection(LIMIT_S)
        start_up_s = time.monotonic() - started
        client.listen(SETTLE_S)
        process = psutil.Process(node.pid)
        client.ages_ms, client.published_ms = [], []
        before = process.cpu_times()
        begin = time.monotonic()
        client.listen(options.seconds)
        seconds = time.monotonic() - begin
        after, memory = process.cpu_times(), process.memory_info().rss
        ages, published = np.array(client.ages_ms), np.array(client.published_ms)
    inference = np.array(json.loads(log.read_text()))
    cpu_s = after.user + after.system - before.user - before.system
    p50, p99 = np.percentile(ages, (50, 99))
    return {
        'node': name, 'size': size, 'frames': len(ages), 'rate_hz': len(ages) / seconds,
        'inference_ms': float(np.median(inference)),
        'overhead_p50_ms': float(np.median(published) - np.median(inference)),
        'overhead_p10_ms': float(np.percentile(published, 10) - np.median(inference)),
        'age_p50_ms': float(p50), 'age_p99_ms': float(p99),
        'cpu_ms_per_frame': cpu_s * 1e3 / len(ages), 'cpu_percent': 100 * cpu_s / seconds,
        'start_up_s': start_up_s, 'resident_mb': memory / 2**20,
        'load_average': os.getloadavg()[0],
    }


@contextmanager
def side(name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """One process of the benchmark."""
    command = [sys.executable, str(HERE / 'node.py'), '--side', name, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def print_table(runs: list[dict[str, Any]], inference_ms: float) -> None:
    """Medians over the rounds, and ours in parts of the usual one."""
    keys = (
        'own_p50_ms', 'under_way_p50_ms', 'overhead_p50_ms', 'overhead_p10_ms', 'cpu_ms_per_frame',
        'cpu_percent', 'age_p50_ms', 'age_p99_ms', 'start_up_s', 'resident_mb', 'rate_hz',
        'load_average',
    )
    print(f'\nmedians of the rounds, inference {inference_ms:g} ms, {RATE_HZ:g} Hz')
    print(f'{"size":10} {"node":6} ' + ' '.join(f'{key:>16}' for key in keys))
    for size in sorted({run['size'] for run in runs}, key=lambda text: int(text.split('x')[0])):
        rows = {
            name: [
                float(np.median([r[key] for r in runs if (r['size'], r['node']) == (size, name)]))
                for key in keys
            ]
            for name in NODES
        }
        for name, row in rows.items():
            print(f'{size:10} {name:6} ' + ' '.join(f'{value:16.2f}' for value in row))
        ratio = [ours / usual for ours, usual in zip(*rows.values(), strict=True)]
        print(f'{"":10} {"ratio":6} ' + ' '.join(f'{value:16.2f}' for value in ratio))


if __name__ == '__main__':
    sys.exit(main())
