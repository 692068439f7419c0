# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Results, levels and diagnostics as messages, without DDS."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from node_driver import image_message, numbers, words
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header
from tiny_ladder import scene
from vision_msgs.msg import Detection2DArray

from uav_prune_perception.ladder import open_ladder
from uav_prune_perception.onboard import results
from uav_prune_perception.onboard.drawing import draw
from uav_prune_perception.onboard.state import Health, LevelState
from uav_prune_perception.onboard.statistics import Statistics
from uav_prune_perception.onboard.telemetry import BatteryState, BoardState
from uav_prune_perception.ros import detections_cdr
from uav_prune_perception.ros.board_diagnostics import BoardView, Heard
from uav_prune_perception.ros.detections_cdr import DetectionsPacker, packing_works
from uav_prune_perception.ros.diagnostics import FlightView, InputView, Reporter
from uav_prune_perception.ros.image_conversion import frame_from_image
from uav_prune_perception.ros.inputs import board_state
from uav_prune_perception.ros.level_status import level_status
from uav_prune_perception.ros.message_conversion import MessageConverter
from uav_prune_perception.ros.overlay import overlay_message
from uav_prune_perception.ros.status import plain

CLASSES = ('person', 'car')
FOUND = results.Detections(
    np.array([[10, 20, 50, 40], [0, 0, 5, 5]], np.float32),
    np.array([0.9, 0.5], np.float32), np.array([1, 0], np.int64),
)
LEVEL = LevelState(1, '50', '100', 'battery', 'battery at 20 %', 0.0, False)


def test_boxes_become_centre_and_size():
    message = MessageConverter(CLASSES).detections(FOUND, Header(frame_id='cam'))
    box = message.detections[0].bbox
    assert (box.center.position.x, box.center.position.y) == (30, 30)
    assert (box.size_x, box.size_y, box.center.theta) == (40, 20, 0)
    hypotheses = [d.results[0].hypothesis for d in message.detections]
    assert [h.class_id for h in hypotheses] == ['1', '0']
    assert hypotheses[0].score == pytest.approx(0.9)
    assert all(d.header.frame_id == 'cam' for d in message.detections)


@pytest.mark.parametrize('frame_id', ['', 'a', 'cam', 'camera', 'nadir_camera', 'vorn/ü'])
@pytest.mark.parametrize('count', [0, 1, 2, 9])
def test_packed_detections_are_read_as_the_message(frame_id, count):
    random = np.random.default_rng(count)
    found = results.Detections(
        random.uniform(0, 640, (count, 4)).astype(np.float32),
        random.uniform(0, 1, count).astype(np.float32), random.integers(0, 2, count),
    )
    header = Header(frame_id=frame_id, stamp=Time(sec=-5, nanosec=999_999_999))
    packed = DetectionsPacker(('person', 'hovercraft'))(found, header)
    expected = MessageConverter(('person', 'hovercraft'), names=True).detections(found, header)
    assert deserialize_message(packed, Detection2DArray) == expected


def test_a_packer_follows_another_frame_id():
    pack = DetectionsPacker(('0', '1'))
    for frame_id in ('down', 'forward', 'down'):
        read = deserialize_message(pack(FOUND, Header(frame_id=frame_id)), Detection2DArray)
        assert [d.header.frame_id for d in read.detections] == [frame_id] * 2


def unknown_type(*_):
    raise RuntimeError('no type support')


@pytest.mark.parametrize(('name', 'value'), [
    ('NO_POSE', bytes(len(detections_cdr.NO_POSE))),  # another default
    ('NO_POSE', b''),  # another definition of the message
    ('LITTLE_ENDIAN', b'\0\0\0\0'),  # read in the other order
    ('deserialize_message', unknown_type),
    ('deserialize_message', lambda data, kind: kind()),
])
def test_bytes_that_this_ros_reads_otherwise_are_not_sent(monkeypatch, caplog, name, value):
    assert packing_works()
    monkeypatch.setattr(detections_cdr, name, value)
    with caplog.at_level('INFO'):
        assert not packing_works.__wrapped__()
    (record,) = caplog.records
    assert 'serialised by rclpy' in record.message


def test_class_names_and_classification():
    found = results.Classification(np.array([1, 0]), np.array([0.7, 0.3], np.float32))
    message = MessageConverter(CLASSES, names=True).classification(found, Header())
    assert [r.class_id for r in message.results] == ['car', 'person']


def camera(publishers: int, silent_s: float, failure: str = '', **more: bool) -> dict[str, object]:
    return {'inputs': (InputView('', '/image', publishers, silent_s, 1.0, failure, **more),)}


def view(**changes: object) -> FlightView:
    statistics = Statistics(['100', '50'])
    statistics.rejected('image is 0 x 0: no pixels')
    parts: dict[str, object] = {
        'statistics': statistics.snapshot(),
        'health': Health(True, True, ('100', '50')),
        'level': LEVEL,
        'board': BoardView(BatteryState(0.2, 14.0, 2.0, 28.0, 5.0)),
        **camera(1, 0.1),
    }
    return FlightView(**(parts | changes))  # type: ignore[arg-type]


OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN
ERROR, STALE = DiagnosticStatus.ERROR, DiagnosticStatus.STALE
BROKEN = Health(False, True, (), {'100': 'NaN', '50': 'NaN'}, 'no usable level left')
HALF_BROKEN = Health(True, True, ('50',), {'100': 'out of memory'}, 'level 100 failed')


@pytest.mark.parametrize(
    ('changes', 'component', 'level', 'says'),
    [
        ({}, 'inference', OK, 'no image processed yet'),
        ({}, 'ladder', OK, 'level 50: battery at 20 %'),
        ({}, 'power', OK, 'battery'),
        ({}, 'input', OK, '/image'),
        ({'health': BROKEN}, 'inference', ERROR, 'no usable level left'),
        ({'health': BROKEN}, 'ladder', ERROR, 'no usable level'),
        ({'health': HALF_BROKEN}, 'ladder', WARN, 'out of use: 100'),
        ({'board': BoardView(silent=('battery',))}, 'power', STALE, 'reading of battery any more'),
        ({'board': BoardView()}, 'power', OK, 'nobody reports battery or power'),
        ({'board': BoardView(BatteryState(0.1), battery_low_fraction=0.3)}, 'power', WARN,
         '10% is low'),
        ({'board': BoardView(board=BoardState(16.0), power_limit_w=15.0)}, 'power', WARN,
         '16.0 W, limit 15.0 W'),
        ({'board': BoardView(board=BoardState(5.0, alarm='over-current (oc1 +2)', alarm_s=4.0),
                             now_s=9.0)}, 'power', WARN, 'oc1 +2'),
        ({'board': BoardView(board=BoardState(5.0, alarm='over-current (oc1 +2)', alarm_s=4.0),
                             now_s=90.0)}, 'power', OK, 'power'),
        ({'board': BoardView()}, 'thermal', OK, 'nobody reports'),
        ({'board': BoardView(board=BoardState(5.0, 62.0), temperature_limit_c=85.0)}, 'thermal',
         OK, '62 C'),
        ({'board': BoardView(board=BoardState(5.0, 88.0), temperature_limit_c=85.0)}, 'thermal',
         WARN, '88 C, limit 85 C'),
        ({'board': BoardView(board=BoardState(5.0, 96.0, throttle_c=95.0))}, 'thermal', ERROR,
         'throttles from 95 C'),
        ({'board': BoardView(silent=('temperature',))}, 'thermal', STALE, 'any more'),
        (camera(0, 3.0, ''), 'input', WARN, 'nobody publishes /i'),
        (camera(1, 3.0, ''), 'input', STALE, 'no image on /image'),
        (camera(1, 0.1, 'bad step'), 'input', WARN, 'bad step'),
        (camera(0, math.nan, listening=False), 'input', OK, 'nobody subscribes to the results'),
    ],
)
def test_components_say_what_is_the_matter(changes, component, level, says):
    statuses = Reporter('perception', 'board').components('active', view(**changes))
    status = {s.name: s for s in statuses}[f'perception: {component}']
    assert (status.level, status.hardware_id) == (level, 'board')
    assert says in status.message


def test_a_reading_is_silent_only_after_it_was_heard():
    heard = Heard()
    assert heard.silent(BatteryState(), BoardState()) == ()
    assert heard.silent(BatteryState(0.5), BoardState(7.0)) == ()
    assert heard.silent(BatteryState(), BoardState(math.nan, 60.0)) == ('battery', 'power')
    assert heard.silent(BatteryState(0.4), BoardState(7.0)) == ('temperature',)


def test_stats_have_every_counter_and_no_units_in_the_values():
    status = Reporter('perception', 'board').stats(view().statistics, 29.5)
    values = numbers(status)
    assert values['received'] == values['failed'] == 1
    assert values['rate_hz'] == 29.5
    assert math.isnan(values['inference_p99_ms'])
    assert set(words(status)) - set(values) == {'last_failure'}


def test_level_message_has_name_reason_and_figures(ladder: Path):
    message = level_status(
        LEVEL, open_ladder(ladder), since_s=12.5, latency_p95_ms=8.25, hardware='board'
    )
    assert (message.name, message.message) == ('50', 'battery at 20 %')
    expected = {
        'index': '1', 'name': '50', 'previous': '100', 'code': 'battery', 'forced': '0',
        'every': '1', 'since_s': '12.5', 'kept_macs': '0.5', 'accuracy': '0.9',
        'latency_p95_ms': '8.25',
    }
    assert words(message) == expected


def test_numbers_are_short():
    assert [plain(v) for v in (1.0, 0.25, 1 / 3, 7, math.nan, 'x')] == [
        '1', '0.25', '0.333333', '7', 'nan', 'x'
    ]


def test_board_readings_are_found_in_any_status_and_words_are_unknown():
    pairs = [('fan', '1'), ('power_w', '7.5'), ('load', 'high')]
    statuses = [DiagnosticStatus(values=[KeyValue(key=k, value=v)]) for k, v in pairs]
    state = board_state(DiagnosticArray(status=statuses), 3.0)
    assert state is not None
    assert (state.power_w, state.received_s) == (7.5, 3.0)
    assert math.isnan(state.load)
    assert math.isnan(state.temperature_c)
    impossible = {'power_w': '-5', 'temperature_c': '1e308', 'load': '42'}
    values = [KeyValue(key=key, value=value) for key, value in impossible.items()]
    state = board_state(DiagnosticArray(status=[DiagnosticStatus(values=values)]), 3.0)
    assert all(math.isnan(v) for v in (state.power_w, state.temperature_c, state.load))
    assert board_state(DiagnosticArray(), 3.0) is None


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'mono8'])
def test_overlay_draws_on_a_copy(encoding):
    picture = scene(64, 48, [])
    picture = picture if encoding != 'mono8' else np.ascontiguousarray(picture[:, :, 0])
    frame = frame_from_image(image_message(picture, encoding))
    timings = results.Timings(0, 0, 1, 2, 3, 6)
    result = results.Result(frame, '50', FOUND, None, timings)
    drawn = draw(result, CLASSES)
    assert drawn.shape == (48, 64, 3)
    assert np.any(drawn != 20)
    np.testing.assert_array_equal(frame.image, picture)
    message = overlay_message(result, CLASSES)
    assert (message.step, len(message.data)) == (192, 64 * 48 * 3)
    assert message.header == frame.tag
