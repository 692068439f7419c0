# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""An active node: images in, detections out, level and thresholds changed in flight."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from array import array
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from node_driver import LATCHED, Driver, image_message, numbers, running_node, words
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import BatteryState, Image
from std_srvs.srv import SetBool
from tiny_ladder import CLASSES, LEVEL_SCORE, scene
from vision_msgs.msg import Detection2DArray, LabelInfo

pytestmark = pytest.mark.dds

CONFIG = Path(__file__).parents[2] / 'config'
BOX = (120, 80, 280, 200)  # in a 640 x 360 picture
PICTURE = scene(640, 360, [(*BOX, 'white')])
RED = scene(640, 360, [(*BOX, 'red')])
COUNTED = ('processed', 'replaced', 'stale', 'failed')


@pytest.fixture(scope='module')
def driver(dds: None, ladder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    folder = tmp_path_factory.mktemp('flight')
    fast = {
        'diagnostics__rate_hz': 10.0, 'policy__deadline_ms': 5000, 'policy__dwell_up_s': 0.2,
        'engine__threads': 1, 'telemetry__sensors': 'none',
    }
    with running_node('flyer', folder, ladder__path=ladder, **fast) as (node, driver):
        assert driver.transition('configure'), node.output()
        assert driver.transition('activate'), node.output()
        driver.wait_for_camera()
        driver.output = node.output
        yield driver
        assert node.process.poll() is None, 'the node died'


def box_of(message: Detection2DArray, index: int = 0) -> tuple[float, ...]:
    box = message.detections[index].bbox
    x, y = box.center.position.x, box.center.position.y
    return (x - box.size_x / 2, y - box.size_y / 2, x + box.size_x / 2, y + box.size_y / 2)


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'rgba8', 'mono8', 'mono16'])
def test_every_plain_encoding_gives_the_box_in_original_pixels(driver, encoding):
    image = {
        'rgb8': PICTURE,
        'bgr8': PICTURE[:, :, ::-1],
        'rgba8': np.dstack([PICTURE, PICTURE[:, :, :1]]),
        'mono8': PICTURE[:, :, 0],
        'mono16': PICTURE[:, :, 0].astype('<u2') * 40 + 9000,
    }[encoding]
    message = driver.detect(image, encoding)
    assert len(message.detections) == 1
    assert box_of(message) == pytest.approx(BOX, abs=3)
    hypothesis = message.detections[0].results[0].hypothesis
    assert CLASSES[int(hypothesis.class_id)] == 'white'
    # On a very busy machine a lighter level may run.
    assert any(hypothesis.score == pytest.approx(v, abs=0.01) for v in LEVEL_SCORE.values())


def test_channel_order_is_told_by_the_encoding(driver):
    for encoding, color in (('rgb8', 'red'), ('bgr8', 'blue')):
        message = driver.detect(RED, encoding)
        assert CLASSES[int(message.detections[0].results[0].hypothesis.class_id)] == color


def test_header_is_the_image_s_on_the_array_and_on_every_box(driver):
    message = driver.detect(PICTURE, 'rgb8')  # found by its stamp
    assert message.header.frame_id == 'camera_optical'
    assert message.detections[0].header == message.header
    empty = driver.detect(np.zeros((100, 100, 3), np.uint8), 'rgb8')
    assert empty.header.frame_id == 'camera_optical'
    assert len(empty.detections) == 0


def test_padded_rows_and_big_endian(driver):
    padded = np.zeros((360, 700, 3), np.uint8)
    padded[:, :640] = PICTURE
    assert box_of(driver.detect(padded, 'rgb8', width=640)) == pytest.approx(BOX, abs=3)
    big = (PICTURE[:, :, 0].astype(np.uint16) * 40 + 9000).astype('>u2')
    message = driver.detect(big, '16UC1', is_bigendian=1)
    assert box_of(message) == pytest.approx(BOX, abs=3)


def test_forced_level_runs_is_told_and_told_again_to_a_late_joiner(driver):
    driver.levels.clear()
    assert driver.set(ladder__forced_level=25) == ''  # as "ros2 param set" has it, unquoted
    assert driver.get('ladder.forced_level') in ('25', 25)  # the number on Humble
    driver.wait_until(lambda: [s for s in driver.levels if s.name == '25'], 'level 25')
    message = driver.detect(PICTURE, 'rgb8')
    score = message.detections[0].results[0].hypothesis.score
    assert score == pytest.approx(LEVEL_SCORE['25'], abs=0.01)

    late: list[DiagnosticStatus] = []
    subscription = driver.listen(DiagnosticStatus, '/flyer/level', late, LATCHED)
    status = driver.wait_until(lambda: late, 'latched level')[0]
    driver.destroy_subscription(subscription)
    assert status.name == '25'
    assert '25' in status.message
    values = words(status)
    assert (values['name'], values['code'], values['forced']) == ('25', 'forced', '1')
    assert values['index'] == '2'
    assert math.isfinite(float(values['since_s']))

    driver.levels.clear()
    assert driver.set(ladder__forced_level='') == ''
    fly_until_level(driver, '100')  # released: the policy climbs
    names = [s.name for s in driver.levels]
    assert names[0] == '25'  # from where it is; a busy machine may stop at 50
    assert [words(s)['previous'] for s in driver.levels[1:]] == names[:-1]
    assert 'step up' in driver.levels[-1].message


def test_set_auto_keeps_the_level_that_runs_and_hands_back_to_the_policy(driver):
    client = driver.create_client(SetBool, '/flyer/set_auto')
    driver.levels.clear()
    assert driver.set(ladder__forced_level='25') == ''
    driver.wait_until(lambda: driver.levels, 'level 25')
    answer = driver.call(client, SetBool.Request(data=True))
    assert (answer.success, answer.message) == (True, 'the policy decides')
    assert driver.get('ladder.forced_level') == ''
    fly_until_level(driver, '100')
    answer = driver.call(client, SetBool.Request(data=False))
    assert (answer.success, answer.message) == (True, 'level 100 is kept')
    assert driver.get('ladder.forced_level') == '100'
    driver.wait_until(lambda: words(driver.levels[-1])['forced'] == '1', 'forced level')
    assert driver.call(client, SetBool.Request(data=True)).success


def fly_until_level(driver: Driver, name: str) -> None:
    def arrived() -> bool:
        driver.detect(PICTURE, 'rgb8')  # without frames there is no latency to judge by
        return bool(driver.levels) and driver.levels[-1].name == name

    driver.wait_until(arrived, f'level {name}')


def test_the_policy_follows_its_parameters_and_says_why(driver):
    driver.levels.clear()
    assert driver.set(policy__deadline_ms=0.05) == ''  # nobody can

    def left() -> list[DiagnosticStatus]:
        driver.detect(PICTURE, 'rgb8')
        return [s for s in driver.levels if s.name != '100' and words(s)['code'] == 'deadline']

    status = driver.wait_until(left, 'a lighter level')[-1]
    assert words(status)['previous'] == '100'
    assert 'keeps 0.05 ms with' in status.message
    assert driver.set(policy__deadline_ms=5000) == ''  # an integer, as everybody writes it
    assert driver.get('policy.deadline_ms') == 5000.0
    fly_until_level(driver, '100')
    assert words(driver.levels[-1])['code'] == 'recovered'


def test_thresholds_and_class_filter_apply_live(driver):
    for name, value, restored in (
        ('postprocess__score_threshold', 0.99, -1.0),
        ('postprocess__class_filter', ['red'], ['']),
    ):
        assert driver.set(**{name: value}) == ''
        driver.wait_until(lambda: not driver.detect(PICTURE, 'rgb8').detections, f'{name} applied')
        assert driver.set(**{name: restored}) == ''
        driver.wait_until(lambda: driver.detect(PICTURE, 'rgb8').detections, f'{name} restored')


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('ladder__path', '/elsewhere', 'unconfigured'),
        ('ladder__forced_level', '33', 'no level "33"'),
        ('postprocess__class_filter', ['cow'], 'no class cow'),
        ('postprocess__score_threshold', 1.5, 'range'),
        ('policy__battery_critical_fraction', 0.9, 'battery_critical_fraction'),
        ('class_id_format', 'colour', 'index, name'),
        ('diagnostics__rate_hz', 2.0, 'read-only'),
    ],
)
def test_nonsense_parameters_are_refused_with_the_reason(driver, name, value, reason):
    assert reason in driver.set(**{name: value})


def test_class_names_on_request(driver):
    assert driver.set(class_id_format='name') == ''
    driver.wait_until(
        lambda: driver.detect(RED, 'rgb8').detections[0].results[0].hypothesis.class_id == 'red',
        'names as class_id',
    )
    assert driver.set(class_id_format='index') == ''


def test_labels_are_latched(driver):
    labels: list[LabelInfo] = []
    subscription = driver.listen(LabelInfo, '/flyer/label_info', labels, LATCHED)
    message = driver.wait_until(lambda: labels, 'label_info')[0]
    driver.destroy_subscription(subscription)
    assert [(c.class_id, c.class_name) for c in message.class_map] == list(enumerate(CLASSES))
    assert message.threshold == pytest.approx(0.25)


def test_sagging_battery_steps_down_with_the_reason_and_recovers(driver):
    battery = driver.create_publisher(BatteryState, 'battery_state', 10)
    driver.wait_until(battery.get_subscription_count, 'subscription to battery_state')

    def level_at(charge: float, level: str) -> DiagnosticStatus:
        driver.levels.clear()

        def tell() -> list[DiagnosticStatus]:
            driver.detect(PICTURE, 'rgb8')
            battery.publish(BatteryState(percentage=charge, voltage=14.8, current=-2.0))
            return [s for s in driver.levels if s.name == level]

        return driver.wait_until(tell, f'level {level} at {charge}')[-1]

    status = level_at(0.1, '25')
    assert words(status)['code'] == 'battery'
    assert '10' in status.message
    power = driver.component('power', lambda s: s.level == DiagnosticStatus.WARN)
    assert 'critical' in power.message
    assert numbers(power)['battery_power_w'] == pytest.approx(29.6)
    level_at(0.9, '100')


def test_board_readings_from_any_monitor_are_used(driver):
    board = driver.create_publisher(DiagnosticArray, 'board_state', 10)
    driver.wait_until(board.get_subscription_count, 'subscription to board_state')
    pairs = {'power_w': '12.5', 'temperature_c': '61', 'load': 'much', 'fan': '3000'}
    status = DiagnosticStatus(values=[KeyValue(key=k, value=v) for k, v in pairs.items()])

    def heard(s: DiagnosticStatus) -> bool:
        board.publish(DiagnosticArray(status=[status]))
        return numbers(s).get('board_power_w') == 12.5

    values = numbers(driver.component('power', heard))
    assert math.isnan(values['board_load'])
    thermal = driver.component('thermal', lambda s: '61 C' in s.message)
    assert numbers(thermal)['board_temperature_c'] == 61


GARBAGE = {
    'zero size': {'height': 0, 'width': 0, 'step': 0, 'data': array('B')},
    'wrong step': {'step': 7},
    'truncated': {'data': array('B', bytes(1000))},
    'unknown encoding': {'encoding': 'telepathy'},
    'absurd size': {'width': 2**32 - 1, 'height': 2**32 - 1, 'step': 2**32 - 1},
    'claims more channels than there are bytes': {'encoding': 'rgba8'},
}


@pytest.mark.parametrize('kind', GARBAGE)
def test_garbage_is_counted_and_reported_and_kills_nothing(driver, kind):
    driver.wait_for_camera()
    before = driver.counters()
    message = image_message(PICTURE, **{'encoding': 'rgb8', **GARBAGE[kind]})

    def failed() -> bool:
        driver.images.publish(message)
        return driver.counters()['failed'] > before['failed']

    driver.wait_until(failed, 'a failed frame')
    status = driver.component('input', lambda s: s.level == DiagnosticStatus.WARN)
    assert status.message == words(status)['last_failure'] != ''
    assert len(driver.detect(PICTURE, 'rgb8').detections) == 1


def test_every_image_is_accounted_for_after_a_burst(driver):
    driver.wait_for_camera()
    before = driver.counters()
    message = image_message(PICTURE, 'rgb8')
    for _ in range(200):
        driver.images.publish(message)

    def settled() -> dict[str, float] | None:
        now = driver.counters()
        busy = now['waiting'] + now['in_work']
        return now if now['received'] > before['received'] and not busy else None

    last = driver.wait_until(settled, 'quiet after the burst')
    assert last['received'] == sum(last[name] for name in COUNTED)
    assert last['received'] <= before['received'] + 200


def test_full_hd_best_effort_images_arrive(driver):
    driver.wait_for_camera()
    large = cv2.resize(PICTURE, (1920, 1080), interpolation=cv2.INTER_NEAREST)
    answers = [driver.detect(large, 'rgb8', once=True) for _ in range(20)]  # one lost = failed
    assert box_of(answers[-1]) == pytest.approx([3 * v for v in BOX], abs=8)


def test_images_older_than_the_limit_are_stale(driver):
    assert driver.set(input__max_image_age_ms=500.0) == ''
    before = driver.counters()['stale']
    old = image_message(PICTURE, 'rgb8')
    old.header.stamp.sec -= 1

    def stale() -> bool:
        driver.images.publish(old)
        return driver.counters()['stale'] > before

    driver.wait_until(stale, 'a stale image')
    driver.diagnostics.clear()

    def told() -> bool:  # a camera of another clock, which would otherwise be a silent node
        driver.images.publish(old)
        inputs = [s for a in driver.diagnostics for s in a.status if s.name == 'flyer: input']
        return any(
            s.level == DiagnosticStatus.WARN and 'max_image_age_ms (500 ms)' in s.message
            for s in inputs[-3:]
        )

    driver.wait_until(told, 'a warning')
    assert driver.output().count('every image is older than') == 1
    assert len(driver.detect(PICTURE, 'rgb8').detections) == 1
    assert driver.set(input__max_image_age_ms=0.0) == ''


def test_the_access_policy_is_exactly_what_the_node_has(driver):
    profile = ElementTree.parse(CONFIG / 'sros2_policy.xml').getroot().find('.//profile')
    not_here = {'/flyer/classification', '/image/compressed', '/clock'}  # by other settings

    def allowed(kind: str, right: str) -> set[str]:
        names = [item.text for item in profile.findall(f"{kind}s[@{right}='ALLOW']/{kind}")]
        return {driver.resolve_topic_name(n.replace('~', '/flyer')) for n in names} - not_here

    for kind, right, ask in (
        ('topic', 'publish', driver.get_publisher_names_and_types_by_node),
        ('topic', 'subscribe', driver.get_subscriber_names_and_types_by_node),
        ('service', 'reply', driver.get_service_names_and_types_by_node),
    ):
        names = allowed(kind, right)
        # The graph may be a moment behind.
        driver.wait_until(
            lambda ask=ask, names=names: {name for name, _ in ask('flyer', '/')} == names,
            f'{right}: {names} but {ask("flyer", "/")}',
        )


def test_incompatible_qos_is_warned_about_with_both_profiles_and_the_mend(driver):
    subscription = driver.listen(Detection2DArray, '/flyer/detections', [], LATCHED)
    driver.wait_until(
        lambda: '/flyer/detections: incompatible QoS' in driver.output(), 'a warning'
    )
    warning = next(line for line in driver.output().splitlines() if 'incompatible' in line)
    for part in (
        'our publisher (reliable, volatile)',
        'the subscription of /driver_of_flyer (reliable, transient_local)',
        'the policy is DURABILITY',
        '"-p qos_overrides./flyer/detections.publisher.durability:=transient_local"',
    ):
        assert part in warning
    driver.destroy_subscription(subscription)


def test_overlay_comes_while_somebody_looks(driver):
    pictures: list[Image] = []
    driver.listen(Image, '/flyer/overlay', pictures, qos_profile_sensor_data)

    def see() -> list[Image]:
        driver.detect(PICTURE, 'rgb8')
        return pictures

    message = driver.wait_until(see, 'overlay')[0]
    assert (message.width, message.height, message.encoding) == (640, 360, 'bgr8')
    drawn = np.frombuffer(message.data, np.uint8).reshape(360, 640, 3)
    assert np.any(drawn != PICTURE[:, :, ::-1])
    assert message.header.frame_id == 'camera_optical'


def test_silent_camera_is_reported(driver):
    status = driver.component('input', lambda s: s.level == DiagnosticStatus.STALE)
    assert 'no image on /image' in status.message


def test_stats_hold_plain_numbers_for_every_stage(driver):
    driver.detect(PICTURE, 'rgb8')
    values = driver.counters()
    for stage in ('queue', 'preprocess', 'inference', 'postprocess', 'total', 'age'):
        assert 0 <= values[f'{stage}_p50_ms'] <= values[f'{stage}_p99_ms'], stage
    assert values['level_100_frames'] > 0
