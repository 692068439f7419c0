# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded flights through a real ladder: bags, videos, folders; what is written can be read."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from tiny_ladder import make_detection_ladder

from uav_prune_perception.cli.main import main
from uav_prune_perception.onboard.policy.registry import make_policy
from uav_prune_perception.replay import ReplayError, open_source, replay
from uav_prune_perception.replay.bag_sink import message_types

HZ = 20.0
FRAMES = 30


@pytest.fixture(scope='module')
def ladder(tmp_path_factory):
    return make_detection_ladder(tmp_path_factory.mktemp('ladder') / 'tiny')


def picture(index):
    """A red square that walks to the right, 8 pixels a picture."""
    image = np.zeros((256, 320, 3), np.uint8)
    image[96:128, 8 * index:8 * index + 40] = (0, 0, 255)
    return image


def corners(index):
    return [8 * index, 96, 8 * index + 40, 128]


def write_bag(folder, *, battery=None, storage=StoragePlugin.MCAP):
    """Pictures as JPEG at HZ; ``battery`` gives the charge at a time."""
    store = message_types()
    kinds = {'/camera/compressed': 'sensor_msgs/msg/CompressedImage',
             '/battery_state': 'sensor_msgs/msg/BatteryState'}
    make = store.types
    with Writer(folder, version=8, storage_plugin=storage) as writer:
        topics = {t: writer.add_connection(t, kind, typestore=store) for t, kind in kinds.items()}
        for index in range(FRAMES):
            nanoseconds = 1_700_000_000_000_000_000 + round(index / HZ * 1e9)
            stamp = make['builtin_interfaces/msg/Time'](sec=nanoseconds // 10**9,
                                                        nanosec=nanoseconds % 10**9)
            header = make['std_msgs/msg/Header'](stamp=stamp, frame_id='front')
            jpeg = cv2.imencode('.jpg', picture(index), [cv2.IMWRITE_JPEG_QUALITY, 98])[1]
            message = make[kinds['/camera/compressed']](
                header=header, format='jpeg', data=jpeg.reshape(-1)
            )
            writer.write(topics['/camera/compressed'], nanoseconds,
                         store.serialize_cdr(message, kinds['/camera/compressed']))
            if battery is None:
                continue
            state = _battery(make, header, battery(index / HZ))
            writer.write(topics['/battery_state'], nanoseconds,
                         store.serialize_cdr(state, kinds['/battery_state']))


def _battery(make, header, fraction):
    empty = np.zeros(0, np.float32)
    return make['sensor_msgs/msg/BatteryState'](
        header=header, voltage=15.0, temperature=20.0, current=-5.0, charge=1.0, capacity=5.0,
        design_capacity=5.0, percentage=fraction, power_supply_status=2, power_supply_health=1,
        power_supply_technology=3, present=True, cell_voltage=empty, cell_temperature=empty,
        location='', serial_number='',
    )


class Seen:
    """Remembers what came out."""

    def __init__(self):
        self.results, self.levels = [], []

    def result(self, t_s, result):
        self.results.append((t_s, result))

    def level(self, t_s, state):
        self.levels.append((t_s, state.name))


@pytest.mark.parametrize('storage', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_every_picture_of_a_bag_is_found_at_its_time(ladder, tmp_path, storage):
    write_bag(tmp_path / 'bag', storage=storage)
    source, seen = open_source(str(tmp_path / 'bag')), Seen()
    assert source.frames == FRAMES
    done = replay(ladder, source, policy=make_policy('static'), sinks=[seen])
    assert (done.frames, done.skipped, done.found) == (FRAMES, 0, {'red': FRAMES})
    assert done.recorded_s == pytest.approx((FRAMES - 1) / HZ)
    for index, (t_s, result) in enumerate(seen.results):
        assert t_s == pytest.approx(index / HZ)
        np.testing.assert_allclose(result.detections.boxes[0], corners(index), atol=2)


def test_a_battery_that_sags_in_the_recording_moves_the_ladder_at_that_time(ladder, tmp_path):
    write_bag(tmp_path / 'bag', battery=lambda t_s: 0.9 if t_s < 0.7 else 0.02)
    seen = Seen()
    policy = make_policy('hysteresis', deadline_ms=10_000.0)
    done = replay(ladder, open_source(str(tmp_path / 'bag')), policy=policy, sinks=[seen])
    assert seen.levels[0] == (0.0, '100')
    assert len(seen.levels) >= 2
    t_s, name = seen.levels[1]
    assert 0.7 <= t_s < FRAMES / HZ
    assert name != '100'
    assert 'battery' in done.changes[1][2]


def test_a_telemetry_file_takes_the_place_of_the_recordings_own(ladder, tmp_path, capsys):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for index in range(FRAMES):
        cv2.imwrite(str(folder / f'{index:03}.png'), picture(index))
    rows = '\n'.join(f'{i / 10},{0.9 if i < 7 else 0.02}' for i in range(20))
    (tmp_path / 'battery.csv').write_text(f't_s,battery_fraction\n{rows}\n')
    code = main([
        'replay', str(ladder.folder), '--source', str(folder), '--hz', str(HZ), '--json',
        '--telemetry', str(tmp_path / 'battery.csv'), '--deadline-ms', '10000',
        '--policy', 'hysteresis',
    ])
    assert code == 0
    done = json.loads(capsys.readouterr().out)
    assert done['frames'] == FRAMES
    assert 0.7 <= done['changes'][1][0] < FRAMES / HZ
    (tmp_path / 'battery.csv').write_text('t_s,batery_fraction\n0,1\n')
    assert main([
        'replay', str(ladder.folder), '--source', str(folder),
        '--telemetry', str(tmp_path / 'battery.csv'),
    ]) == 2
    assert 'battery.csv:1: column "batery_fraction" is unknown' in capsys.readouterr().err


def test_video_and_bag_are_written_and_can_be_read(ladder, tmp_path, capsys):
    write_bag(tmp_path / 'bag')
    video, bag = tmp_path / 'out.mp4', tmp_path / 'out'
    assert main([
        'replay', str(ladder.folder), '--source', str(tmp_path / 'bag'), '--video', str(video),
        '--bag', str(bag), '--level', '50',
    ]) == 0
    assert f'{FRAMES} pictures of 1.' in capsys.readouterr().out
    again = open_source(str(video))
    events = list(again.events())
    assert len(events) == FRAMES
    assert events[10].content.image.shape[1] == 320
    with AnyReader([bag], default_typestore=message_types()) as reader:
        counts = {topic: info.msgcount for topic, info in reader.topics.items()}
        assert counts['/perception/detections'] == counts['/perception/overlay/compressed'] == 30
        assert counts['/perception/level'] >= 1
        found = [
            reader.deserialize(raw, connection.msgtype)
            for connection, _, raw in reader.messages()
            if connection.topic == '/perception/detections'
        ]
    box = found[3].detections[0].bbox
    assert (box.center.position.x, box.center.position.y) == pytest.approx((44, 112), abs=2)
    assert (box.size_x, box.size_y) == pytest.approx((40, 32), abs=3)
    assert found[3].detections[0].results[0].hypothesis.class_id == '1'
    assert sorted(path.name for path in bag.iterdir()) == ['metadata.yaml', 'out.mcap']
    assert not list(tmp_path.glob('.*'))


def test_real_ros_reads_the_bytes_of_the_bag(ladder, tmp_path):
    serialization = pytest.importorskip('rclpy.serialization')
    messages = pytest.importorskip('vision_msgs.msg')
    write_bag(tmp_path / 'bag')
    main(['replay', str(ladder.folder), '--source', str(tmp_path / 'bag'),
          '--bag', str(tmp_path / 'out')])
    with AnyReader([tmp_path / 'out'], default_typestore=message_types()) as reader:
        raw = next(r for c, _, r in reader.messages() if c.topic == '/perception/detections')
    message = serialization.deserialize_message(bytes(raw), messages.Detection2DArray)
    assert message.header.frame_id == 'front'
    assert message.detections[0].bbox.size_x == pytest.approx(40, abs=3)


def test_nothing_half_written_is_left_when_a_replay_fails(ladder, tmp_path, capsys):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for index in range(5):
        cv2.imwrite(str(folder / f'{index:03}.png'), picture(index))
    (folder / '005.png').write_bytes(b'not a picture')
    code = main([
        'replay', str(ladder.folder), '--source', str(folder), '--video', str(tmp_path / 'o.mp4'),
        '--bag', str(tmp_path / 'out'),
    ])
    assert code == 2
    assert '005.png: broken picture' in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ['pictures']


def test_the_precision_that_is_asked_for_flies(ladder, tmp_path, capsys):
    write_bag(tmp_path / 'bag')
    source = ['--source', str(tmp_path / 'bag')]
    assert main(['replay', str(ladder.folder), *source, '--precision', 'int8']) == 1
    assert 'no int8 variant' in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--source', 'nowhere.mcap'], 'nowhere.mcap: no such file'),
        (['--source', 'BAG', '--topic', '/nix'], 'there is /camera/compressed'),
        (['--source', 'BAG', '--level', '7'], 'no level "7"; there are 100, 50, 25'),
        (['--source', 'BAG', '--classes', 'dog'], 'the ladder has no "dog"; there are white'),
        (['--source', 'BAG', '--policy', 'nix'], 'no policy "nix"; there are'),
        (['--source', 'BAG', '--video', 'x.gif'], 'x.gif: videos end in .mp4'),
        (['--source', 'BAG', '--bag', 'BAG'], 'is there already'),
        (['--source', 'camera:front'], 'such as camera:0'),
    ],
)
def test_bad_arguments_are_one_line(ladder, tmp_path, capsys, arguments, words):
    write_bag(tmp_path / 'bag')
    filled = [str(tmp_path / 'bag') if word == 'BAG' else word for word in arguments]
    assert main(['replay', str(ladder.folder), *filled]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith('uav-prune: error: ')
    assert words in error
    assert '\n' not in error


def test_a_damaged_bag_is_refused(tmp_path):
    write_bag(tmp_path / 'bag')
    (file,) = Path(tmp_path / 'bag').glob('*.mcap')
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ReplayError, match='not a bag that can be read'):
        open_source(str(tmp_path / 'bag'))
