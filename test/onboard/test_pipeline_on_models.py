# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole onboard half on real ONNX models: pictures in, boxes out."""

from __future__ import annotations

import math
import queue
import time

import numpy as np
import pytest
import tiny_ladder

from uav_prune_perception.onboard import (
    Frame,
    NoUsableLevel,
    Pipeline,
    PipelineOptions,
    UnknownLevel,
    make_policy,
)

RECTANGLES = [
    (50, 60, 250, 200, 'red'), (400, 300, 600, 460, 'white'), (30, 350, 110, 440, 'blue'),
]


@pytest.fixture(scope='module')
def ladder(tmp_path_factory):
    return tiny_ladder.make_detection_ladder(tmp_path_factory.mktemp('flight') / 'ladder', 3)


class Flown:
    """A running pipeline and what came out of it."""

    def __init__(self, ladder, **arguments):
        self.results: queue.Queue = queue.Queue()
        self.levels: list = []
        arguments.setdefault('policy', make_policy('static'))
        arguments.setdefault('options', PipelineOptions(threads=1))
        self.pipeline = Pipeline(
            ladder, on_result=self.results.put, on_level=self.levels.append, **arguments
        )

    def __enter__(self):
        self.pipeline.load()
        self.pipeline.start()
        return self

    def __exit__(self, *_):
        self.pipeline.close()

    def see(self, image, color='rgb', **fields):
        assert self.pipeline.submit(Frame(image, color, received_s=time.monotonic(), **fields))
        return self.results.get(timeout=20)


def check_boxes(result, rectangles, tolerance):
    found = result.detections
    want = sorted((tiny_ladder.CLASSES.index(r[4]), *r[:4]) for r in rectangles)
    got = sorted(
        (int(c), *b) for c, b in zip(found.class_ids, found.boxes.tolist(), strict=True)
    )
    assert [g[0] for g in got] == [w[0] for w in want]
    np.testing.assert_allclose([g[1:] for g in got], [w[1:] for w in want], atol=tolerance)


def test_boxes_come_back_in_picture_pixels(ladder):
    with Flown(ladder) as flown:
        image = tiny_ladder.scene(640, 480, RECTANGLES)
        tag = object()
        result = flown.see(image, 'rgb', stamp_s=12.5, tag=tag, source='front')
        check_boxes(result, RECTANGLES, 2.5)
        assert result.level == '100'
        assert result.classification is None
        assert (result.frame.tag, result.frame.stamp_s) == (tag, 12.5)
        assert result.frame.image is image
        t = result.timings
        assert t.total == pytest.approx(t.unpack + t.preprocess + t.inference + t.postprocess)
        assert t.queue >= 0


@pytest.mark.parametrize(('width', 'height'), [(1280, 720), (333, 500), (320, 256), (1921, 1079)])
def test_any_picture_size(ladder, width, height):
    fractions = [(0.1, 0.1, 0.4, 0.5, 'green'), (0.5, 0.5, 0.95, 0.9, 'white')]
    rectangles = [
        (int(x1 * width), int(y1 * height), int(x2 * width), int(y2 * height), c)
        for x1, y1, x2, y2, c in fractions
    ]
    with Flown(ladder) as flown:
        one_input_pixel = max(width / 320, height / 256)
        result = flown.see(tiny_ladder.scene(width, height, rectangles))
        check_boxes(result, rectangles, max(2.0, 1.3 * one_input_pixel))


def test_colour_orders_and_gray(ladder):
    image = tiny_ladder.scene(640, 480, RECTANGLES)
    with Flown(ladder) as flown:
        check_boxes(flown.see(image[:, :, ::-1].copy(), 'bgr'), RECTANGLES, 2.5)
        white = [RECTANGLES[1]]
        gray = tiny_ladder.scene(640, 480, white)[:, :, 0].copy()
        check_boxes(flown.see(gray, 'gray'), white, 2.5)
        empty = flown.see(np.zeros((480, 640, 3), np.uint8))
        assert len(empty.detections) == 0


def test_a_classification_ladder(tmp_path):
    with Flown(tiny_ladder.make_classification_ladder(tmp_path / 'l')) as flown:
        image = np.zeros((50, 90, 3), np.uint8)
        image[:, :, 1] = 200
        image[:, :, 2] = 100
        result = flown.see(image, 'rgb')
        assert result.detections is None
        assert result.classification.class_ids.tolist() == [1, 2, 0]
        assert result.classification.scores.sum() == pytest.approx(1.0)


def test_forcing_and_releasing_a_level(ladder):
    image = tiny_ladder.scene(640, 480, RECTANGLES)
    with Flown(ladder) as flown:
        flown.pipeline.force_level('25')
        result = flown.see(image)
        assert result.level == '25'
        assert result.detections.scores[0] == pytest.approx(tiny_ladder.LEVEL_SCORE['25'])
        state = flown.pipeline.level
        assert (state.name, state.previous, state.code) == ('25', '100', 'forced')
        assert state.forced
        assert flown.pipeline.control().name == '25'
        flown.pipeline.force_level(None)
        assert not flown.pipeline.level.forced
        assert flown.pipeline.control().name == '100'
        assert flown.see(image).level == '100'
        with pytest.raises(UnknownLevel, match='no level "7"; there are 100, 50, 25'):
            flown.pipeline.force_level('7')
        codes = [state.code for state in flown.levels]
        assert codes == ['initial', 'forced', 'released', 'static']


def test_a_level_forced_before_load_runs_from_the_first_frame(ladder):
    flown = Flown(ladder)
    with pytest.raises(UnknownLevel):
        flown.pipeline.force_level('7')
    flown.pipeline.force_level('50')
    with flown:
        assert flown.see(tiny_ladder.scene(64, 48, [])).level == '50'


def test_settings_change_between_two_frames(ladder):
    image = tiny_ladder.scene(640, 480, RECTANGLES)
    with Flown(ladder) as flown:
        assert len(flown.see(image).detections) == 3
        options = flown.pipeline.options
        flown.pipeline.configure(options.replace(class_filter=('red', 'blue')))
        assert sorted(flown.see(image).detections.class_ids) == [1, 3]
        with pytest.raises(ValueError, match='no class dog'):
            flown.pipeline.configure(options.replace(class_filter=('dog',)))
        assert len(flown.see(image).detections) == 2
        flown.pipeline.configure(options.replace(score_threshold=0.99))
        assert len(flown.see(image).detections) == 0


@pytest.mark.parametrize('changes', [
    {'score_threshold': 1.5}, {'iou_threshold': -0.1}, {'max_image_age_s': -1.0},
    {'max_image_age_s': math.nan}, {'threads': -1},
])
def test_senseless_options_are_named(changes):
    name, value = next(iter(changes.items()))
    with pytest.raises(ValueError, match=f'{name} is {value}'):
        PipelineOptions(**changes)


def test_a_level_that_breaks_in_flight_gives_way_to_the_next(tmp_path):
    ladder = tiny_ladder.make_detection_ladder(tmp_path / 'l', 3, fragile=['100', '25'])
    image, white = tiny_ladder.scene(640, 480, RECTANGLES), np.full((480, 640, 3), 255, np.uint8)
    with Flown(ladder) as flown:
        assert flown.see(image).level == '100'
        flown.pipeline.submit(Frame(white, 'rgb'))
        time.sleep(0.2)
        result = flown.see(image)
        assert result.level == '50'
        check_boxes(result, RECTANGLES, 2.5)
        health = flown.pipeline.health
        assert health.ok
        assert health.usable == ('50', '25')
        assert 'not finite' in health.failed['100']
        assert 'level 100 failed' in health.last_error
        assert flown.pipeline.level.code == 'engine_failed'
        with pytest.raises(UnknownLevel, match=r'"100" is not usable: .*not finite'):
            flown.pipeline.force_level('100')
        statistics = flown.pipeline.statistics()
        assert (statistics.received, statistics.processed, statistics.failed) == (3, 2, 1)


def test_a_forced_level_that_breaks_is_released(tmp_path):
    ladder = tiny_ladder.make_detection_ladder(tmp_path / 'l', 3, fragile=['25'])
    white = np.full((480, 640, 3), 255, np.uint8)
    with Flown(ladder) as flown:
        flown.pipeline.force_level('25')
        flown.pipeline.submit(Frame(white, 'rgb'))
        deadline = time.monotonic() + 5
        while flown.pipeline.level.name == '25' and time.monotonic() < deadline:
            time.sleep(0.01)
        state = flown.pipeline.level
        assert (state.name, state.code, state.forced) == ('50', 'engine_failed', False)


def test_no_level_left_is_bad_health_not_a_crash(tmp_path):
    ladder = tiny_ladder.make_detection_ladder(tmp_path / 'l', 1, fragile=['100'])
    white = np.full((480, 640, 3), 255, np.uint8)
    with Flown(ladder) as flown:
        for _ in range(3):
            flown.pipeline.submit(Frame(white, 'rgb'))
            time.sleep(0.1)
        health = flown.pipeline.health
        assert not health.ok
        assert health.running
        assert 'no usable level left: 100:' in health.last_error
        flown.pipeline.control()
        statistics = flown.pipeline.statistics()
        assert (statistics.received, statistics.failed, statistics.processed) == (3, 3, 0)
        assert 'no usable level left' in statistics.last_failure
        flown.pipeline.close()
        flown.pipeline.load()  # a new try gives a new chance
        flown.pipeline.start()
        assert flown.pipeline.health.ok
        assert flown.see(tiny_ladder.scene(64, 48, [])).level == '100'


def test_loading_only_broken_levels_fails_with_every_reason(tmp_path):
    ladder = tiny_ladder.make_detection_ladder(tmp_path / 'l', 2, broken=['100', '50'])
    flown = Flown(ladder)
    with pytest.raises(NoUsableLevel, match=r'100: .* 50: '):
        flown.pipeline.load()
    health = flown.pipeline.health
    assert not health.ok
    assert set(health.failed) == {'100', '50'}
    with pytest.raises(RuntimeError, match='not loaded'):
        flown.pipeline.start()
    flown.pipeline.close()
