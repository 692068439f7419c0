# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from uav_prune_perception.ladder import BoxesScores, InputSpec, Ladder, Logits
from uav_prune_perception.onboard.decode import MAX_CANDIDATES, Decoder, thresholds
from uav_prune_perception.onboard.options import PipelineOptions
from uav_prune_perception.onboard.preprocess import Geometry

CLASSES = ('person', 'car', 'bus')
SPEC = InputSpec(640, 640)
WHOLE = Geometry.fit(640, 640, SPEC)


def ladder(decode: BoxesScores | Logits, classes=CLASSES) -> Ladder:
    task = 'detection' if isinstance(decode, BoxesScores) else 'classification'
    return Ladder('l', task, classes, SPEC, decode, {}, (), Path('l'))


def predictions(rows) -> dict[str, np.ndarray]:
    """Rows of (box, scores of the three classes)."""
    return {'predictions': np.array([[*b, *s] for b, s in rows], np.float32).T[None]}


TWO = predictions([
    ((100, 100, 200, 200), (0.1, 0.9, 0.2)),
    ((102, 100, 202, 200), (0.8, 0.1, 0.1)),
    ((300, 300, 400, 360), (0.3, 0.1, 0.2)),
    ((500, 500, 600, 600), (0.1, 0.2, 0.1)),
])


def test_one_class_per_box_above_the_ladders_threshold_best_first():
    found = Decoder(ladder(BoxesScores()))(TWO, WHOLE)
    assert found.class_ids.tolist() == [1, 0, 0]
    np.testing.assert_allclose(found.scores, [0.9, 0.8, 0.3])
    assert found.boxes.dtype == np.float32
    assert found.scores.dtype == np.float32
    assert found.class_ids.dtype == np.int64
    np.testing.assert_allclose(found.boxes[2], [300, 300, 400, 360])


def test_without_class_awareness_the_better_box_removes_the_other():
    found = Decoder(ladder(BoxesScores(class_aware_nms=False)))(TWO, WHOLE)
    assert found.class_ids.tolist() == [1, 0]


def test_options_replace_the_ladders_thresholds():
    decode = Decoder(ladder(BoxesScores()), PipelineOptions(score_threshold=0.85))
    assert len(decode(TWO, WHOLE)) == 1
    low = PipelineOptions(score_threshold=0.15)
    assert len(Decoder(ladder(BoxesScores()), low)(TWO, WHOLE)) == 4
    loose = PipelineOptions(iou_threshold=0.99)
    agnostic = ladder(BoxesScores(class_aware_nms=False))
    assert len(Decoder(agnostic, loose)(TWO, WHOLE)) == 3


def test_class_filter_reports_only_what_was_asked_for():
    found = Decoder(ladder(BoxesScores()), PipelineOptions(class_filter=('car', 'bus')))(
        TWO, WHOLE
    )
    assert found.class_ids.tolist() == [1]
    with pytest.raises(ValueError, match=r'no class dog; there are person, car, bus'):
        Decoder(ladder(BoxesScores()), PipelineOptions(class_filter=('dog',)))


def test_max_detections_keeps_the_best():
    found = Decoder(ladder(BoxesScores(max_detections=2)))(TWO, WHOLE)
    np.testing.assert_allclose(found.scores, [0.9, 0.8])


def test_centre_format():
    rows = predictions([((50, 60, 20, 10), (0.9, 0, 0))])
    found = Decoder(ladder(BoxesScores(box_format='cxcywh')))(rows, WHOLE)
    np.testing.assert_allclose(found.boxes, [[40, 55, 60, 65]])


def test_boxes_come_in_picture_pixels_and_those_in_the_padding_go():
    geometry = Geometry.fit(1280, 720, SPEC)  # 140 rows of padding above and below
    rows = predictions([
        ((10, 150, 110, 200), (0.9, 0, 0)),
        ((10, 20, 110, 100), (0.8, 0, 0)),
        ((600, 480, 700, 600), (0.7, 0, 0)),
    ])
    found = Decoder(ladder(BoxesScores()))(rows, geometry)
    np.testing.assert_allclose(found.boxes, [[20, 20, 220, 120], [1200, 680, 1280, 720]])
    np.testing.assert_allclose(found.scores, [0.9, 0.7])


def test_nothing_found_is_an_empty_result_of_the_right_shape():
    found = Decoder(ladder(BoxesScores()), PipelineOptions(score_threshold=1.0))(TWO, WHOLE)
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)
    none = {'predictions': np.zeros((1, 7, 0), np.float32)}
    assert len(Decoder(ladder(BoxesScores()))(none, WHOLE)) == 0


def test_outputs_that_the_ladder_does_not_promise_are_named():
    decode = Decoder(ladder(BoxesScores()))
    with pytest.raises(ValueError, match='no "predictions", only boxes'):
        decode({'boxes': TWO['predictions']}, WHOLE)
    with pytest.raises(ValueError, match=r'\(1, 6, 4\), must be \(1, 7, n\)'):
        decode({'predictions': TWO['predictions'][:, :6]}, WHOLE)
    with pytest.raises(ValueError, match=r'must be \(1, 3\)'):
        Decoder(ladder(Logits()))({'logits': np.zeros((1, 4), np.float32)}, WHOLE)


def test_logits_become_the_best_classes_in_order():
    outputs = {'logits': np.log(np.array([[0.2, 0.7, 0.1]], np.float32))}
    found = Decoder(ladder(Logits(top_k=2)))(outputs, WHOLE)
    assert found.class_ids.tolist() == [1, 0]
    np.testing.assert_allclose(found.scores, [0.7, 0.2], rtol=1e-5)
    few = Decoder(ladder(Logits()), PipelineOptions(class_filter=('person', 'bus')))
    assert few(outputs, WHOLE).class_ids.tolist() == [0, 2]
    sure = Decoder(ladder(Logits()), PipelineOptions(score_threshold=0.5))
    assert sure(outputs, WHOLE).class_ids.tolist() == [1]


def test_huge_logits_do_not_overflow():
    found = Decoder(ladder(Logits()))({'logits': np.array([[1e30, 0, -1e30]], np.float32)}, WHOLE)
    np.testing.assert_allclose(found.scores, [1, 0, 0])


def crowd(objects: int, per_object: int, classes: int = 80, candidates: int = 8400):
    """What a YOLO gives at 640 x 640: ``objects`` things, each seen by ``per_object`` anchors."""
    random = np.random.default_rng(0)
    tensor = np.zeros((1, 4 + classes, candidates), np.float32)
    tensor[0, 4:] = random.random((classes, candidates)) * 0.1
    start = random.uniform(0, 560, (objects, 2)).repeat(per_object, axis=0)
    count = objects * per_object
    tensor[0, :2, :count] = (start + random.uniform(0, 4, (count, 2))).T
    tensor[0, 2:4, :count] = tensor[0, :2, :count] + 50
    tensor[0, 4 + random.integers(0, 3, count), np.arange(count)] = random.uniform(0.3, 1, count)
    return {'predictions': tensor}


def test_a_threshold_of_zero_on_a_crowd_stays_bounded():
    names = tuple(f'c{i}' for i in range(80))
    spec = replace(ladder(BoxesScores(score_threshold=0.0, max_detections=10_000)), classes=names)
    start = time.process_time()
    found = Decoder(spec)(crowd(300, 20), WHOLE)
    assert len(found) <= MAX_CANDIDATES
    assert time.process_time() - start < 2.0


def test_classes_have_thresholds_of_their_own():
    own = Decoder(ladder(BoxesScores()), PipelineOptions(class_thresholds={'car': 0.95}))
    # The first box is no car any more, and none of its other classes reaches 0.25.
    assert own(TWO, WHOLE).class_ids.tolist() == [0, 0]
    low = Decoder(ladder(BoxesScores()), PipelineOptions(class_thresholds={'car': 0.2}))
    assert low(TWO, WHOLE).class_ids.tolist() == [1, 0, 0, 1]
    second = PipelineOptions(class_thresholds={'car': 0.95, 'bus': 0.2})
    found = Decoder(ladder(BoxesScores()), second)(TWO, WHOLE)
    np.testing.assert_allclose(found.scores, [0.8, 0.3, 0.2])  # the next best class counts
    assert found.class_ids.tolist() == [0, 0, 2]


def test_which_threshold_holds():
    spec = BoxesScores(score_threshold=0.3, class_thresholds={'car': 0.5, 'bus': 0.6})
    flown = ladder(spec)
    for options, want in (
        ({}, [0.3, 0.5, 0.6]),
        ({'score_threshold': 0.4}, [0.4, 0.4, 0.4]),
        ({'class_thresholds': {'bus': 0.1}}, [0.3, 0.5, 0.1]),
        ({'score_threshold': 0.4, 'class_thresholds': {'bus': 0.1}}, [0.4, 0.4, 0.1]),
    ):
        np.testing.assert_allclose(thresholds(flown, PipelineOptions(**options)), want, rtol=1e-6)
    with pytest.raises(ValueError, match='class_thresholds: no class dog'):
        Decoder(flown, PipelineOptions(class_thresholds={'dog': 0.5}))
    with pytest.raises(ValueError, match=r'car is 1\.5'):
        PipelineOptions(class_thresholds={'car': 1.5})


def test_a_classifier_has_thresholds_by_class_too():
    outputs = {'logits': np.log(np.array([[0.2, 0.7, 0.1]], np.float32))}
    options = PipelineOptions(class_thresholds={'car': 0.8, 'person': 0.1})
    assert Decoder(ladder(Logits()), options)(outputs, WHOLE).class_ids.tolist() == [0, 2]


def test_nms_and_the_number_of_boxes_are_options_too():
    agnostic = PipelineOptions(class_aware_nms=False)
    assert Decoder(ladder(BoxesScores()), agnostic)(TWO, WHOLE).class_ids.tolist() == [1, 0]
    aware = Decoder(
        ladder(BoxesScores(class_aware_nms=False)), PipelineOptions(class_aware_nms=True))
    assert len(aware(TWO, WHOLE)) == 3
    one = Decoder(ladder(BoxesScores()), PipelineOptions(max_detections=1))
    np.testing.assert_allclose(one(TWO, WHOLE).scores, [0.9])
    with pytest.raises(ValueError, match='max_detections is 0'):
        PipelineOptions(max_detections=0)
