# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Large pictures cut into tiles, and what was found in them put together."""

from __future__ import annotations

import itertools
import queue
import time

import numpy as np
import pytest
import tiny_ladder

from uav_prune_perception.ladder import InputSpec
from uav_prune_perception.onboard import Frame, Pipeline, PipelineOptions, make_policy
from uav_prune_perception.onboard.decode import Decoder
from uav_prune_perception.onboard.level_bank import LevelBank
from uav_prune_perception.onboard.results import Detections
from uav_prune_perception.onboard.tiles import Tile, Tiling, merged

SPEC = InputSpec(320, 256)


@pytest.mark.parametrize('size', [(1920, 1080), (641, 300), (330, 999), (4000, 257)])
@pytest.mark.parametrize('overlap', [0.0, 0.2, 0.75])
def test_tiles_cover_every_pixel_and_neighbours_overlap(size, overlap):
    tiles = Tiling(320, overlap, whole=False).views(*size, SPEC)
    seen = np.zeros(size[::-1], np.uint8)
    for tile in tiles:
        assert (tile.right - tile.left, tile.bottom - tile.top) == (320, min(256, size[1]))
        seen[tile.top:tile.bottom, tile.left:tile.right] = 1
    assert seen.all()
    columns = sorted({tile.left for tile in tiles})
    assert all(b - a <= 320 - int(overlap * 320) for a, b in itertools.pairwise(columns))


def test_a_picture_no_larger_than_a_tile_is_looked_at_once():
    assert Tiling(320).views(320, 256, SPEC) == [Tile(0, 0, 320, 256)]
    assert Tiling(320).views(100, 50, SPEC) == [Tile(0, 0, 100, 50)]
    assert Tiling(320).views(321, 256, SPEC)[0] == Tile(0, 0, 321, 256)  # the whole comes first


@pytest.mark.parametrize(('arguments', 'reason'), [((0,), 'width is 0'), ((9, 0.95), 'overlap')])
def test_tilings_that_cannot_be(arguments, reason):
    with pytest.raises(ValueError, match=reason):
        Tiling(*arguments)


def test_more_tiles_than_any_engine_could_bear_are_refused_before_they_are_made():
    with pytest.raises(ValueError, match='2073600 tiles of 1 px'):
        Tiling(1).views(1920, 1080, SPEC)


def detections(*rows):
    """Rows of x1, y1, x2, y2, score, class."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def put_together(*parts, class_aware=True, most=100):
    tiles = [Tile(0, 0, 100, 100), Tile(80, 0, 180, 100)]
    return merged(
        parts, tiles, (180, 100), iou_threshold=0.5, class_aware=class_aware, max_detections=most
    )


def test_an_object_in_the_overlap_is_reported_once_by_its_better_score():
    found = put_together(
        detections((83, 10, 97, 30, 0.7, 0)), detections((3, 10, 17, 30, 0.9, 0)))
    np.testing.assert_allclose(found.boxes, [[83, 10, 97, 30]])
    np.testing.assert_allclose(found.scores, [0.9])


def test_a_part_goes_where_another_tile_has_the_whole_even_with_a_better_score():
    # 70..130 is whole only in the second tile... of a picture cut at 100; the part is 70..100.
    found = put_together(
        detections((85, 10, 100, 30, 0.95, 0)), detections((5, 10, 60, 30, 0.6, 0)))
    np.testing.assert_allclose(found.boxes, [[85, 10, 140, 30]])
    other = put_together(
        detections((85, 10, 100, 30, 0.95, 1)), detections((5, 10, 60, 30, 0.6, 0)))
    assert other.class_ids.tolist() == [1, 0]  # of another class, it is another thing
    agnostic = put_together(
        detections((85, 10, 100, 30, 0.95, 1)), detections((5, 10, 60, 30, 0.6, 0)),
        class_aware=False)
    assert agnostic.class_ids.tolist() == [0]


def test_a_part_that_no_tile_has_whole_stays_and_the_edge_of_the_picture_cuts_nothing():
    parts = put_together(
        detections((20, 10, 100, 30, 0.8, 0)), detections((0, 10, 70, 30, 0.7, 0)))
    assert len(parts) == 2
    edge = put_together(
        detections((0, 40, 30, 60, 0.9, 0), (5, 42, 30, 60, 0.8, 0)), detections())
    np.testing.assert_allclose(edge.scores, [0.9])


def test_the_best_of_all_tiles_stay():
    found = put_together(
        detections((10, 10, 20, 20, 0.5, 0), (30, 10, 40, 20, 0.9, 0)),
        detections((50, 10, 60, 20, 0.7, 0)), most=2)
    np.testing.assert_allclose(found.scores, [0.9, 0.7])
    assert len(put_together(detections(), detections())) == 0


def test_the_whole_picture_is_only_asked_for_what_no_tile_has_entire():
    tiling = Tiling(320, 0.2)  # 64 x 51 pixels in common
    nothing = [detections()] * (len(tiling.views(640, 256, SPEC)) - 1)
    whole = detections((10, 10, 60, 40, 0.9, 0), (200, 50, 400, 80, 0.8, 0),
                       (300, 10, 320, 90, 0.7, 0))
    found = tiling.together(
        [whole, *nothing], (640, 256), SPEC, iou_threshold=0.5, class_aware=True,
        max_detections=9)
    np.testing.assert_allclose(found.scores, [0.8, 0.7])


SMALL = [(x, y, x + 16, y + 16, 'red') for x, y in ((8, 8), (312, 100), (700, 250), (938, 490))]


@pytest.fixture
def flown(tmp_path):
    ladder = tiny_ladder.make_detection_ladder(tmp_path / 'ladder', 2)
    results: queue.Queue = queue.Queue()
    pipeline = Pipeline(
        ladder, policy=make_policy('static'), on_result=results.put,
        options=PipelineOptions(threads=1),
    )
    pipeline.load()
    pipeline.start()

    def see(image):
        pipeline.submit(Frame(image, 'rgb'))
        return results.get(timeout=20)

    yield pipeline, see
    pipeline.close()


def test_tiles_find_what_is_too_small_in_the_whole_picture(flown):
    pipeline, see = flown
    image = tiny_ladder.scene(960, 512, SMALL)
    assert len(see(image).detections) < len(SMALL)
    pipeline.configure(PipelineOptions(threads=1, tiling=Tiling(320)))
    found = see(image)
    boxes = sorted(found.detections.boxes.tolist())
    np.testing.assert_allclose(boxes, sorted(list(r[:4]) for r in SMALL), atol=2.5)
    assert found.passes == 1 + 4 * 3  # the whole; 960 and 512 in steps of 256 and 205
    t = found.timings
    assert t.total == pytest.approx(t.unpack + t.preprocess + t.inference + t.postprocess)
    counted = pipeline.statistics()
    assert (counted.received, counted.processed, counted.engine_runs) == (2, 2, 14)


def test_a_tiling_that_is_too_fine_fails_the_picture_and_blames_no_level(flown):
    pipeline, see = flown
    pipeline.configure(PipelineOptions(threads=1, tiling=Tiling(1)))
    image = tiny_ladder.scene(960, 512, SMALL)
    pipeline.submit(Frame(image, 'rgb'))
    limit = time.monotonic() + 20
    while not pipeline.statistics().failed and time.monotonic() < limit:
        time.sleep(0.01)
    assert 'make the tiles larger' in pipeline.statistics().last_failure
    assert not pipeline.health.failed
    pipeline.configure(PipelineOptions(threads=1))
    assert see(image).passes == 1


def test_the_policy_is_told_what_a_picture_costs_not_a_tile(tmp_path):
    ladder = tiny_ladder.make_detection_ladder(tmp_path / 'ladder', 2)
    told = []

    class Asked:
        def decide(self, observation):
            told.append(observation)
            return make_policy('static').decide(observation)

    results: queue.Queue = queue.Queue()
    pipeline = Pipeline(
        ladder, policy=Asked(), on_result=results.put,
        options=PipelineOptions(threads=1, tiling=Tiling(320, whole=False), control_period_s=0),
    )
    pipeline.load()
    pipeline.start()
    pipeline.submit(Frame(tiny_ladder.scene(640, 256, []), 'rgb'))
    results.get(timeout=20)
    pipeline.stop()
    pipeline.control()
    first, last = told[0].levels, told[-1].levels
    assert [b.latency_ms / a.latency_ms for a, b in zip(first, last, strict=True)] == \
        pytest.approx([3, 3])
    pipeline.close()


def test_a_frame_of_many_tiles_takes_long_and_hangs_nowhere(flown, monkeypatch):
    pipeline, _ = flown
    monkeypatch.setattr('uav_prune_perception.onboard.work_watch.HANG_S', 0.5)
    monkeypatch.setattr('uav_prune_perception.onboard.work_watch.HANG_LOOKS', 2)
    infer = LevelBank.infer

    def slow(self, level, tensor):
        time.sleep(0.1)
        return infer(self, level, tensor)

    monkeypatch.setattr(LevelBank, 'infer', slow)
    pipeline.configure(PipelineOptions(threads=1, tiling=Tiling(320)))
    pipeline.submit(Frame(tiny_ladder.scene(960, 512, []), 'rgb'))
    limit = time.monotonic() + 20
    while not pipeline.statistics().processed and time.monotonic() < limit:
        pipeline.control()
        time.sleep(0.05)
    assert pipeline.statistics().processed == 1
    assert not pipeline.health.failed


def test_a_classifier_has_no_tiles(tmp_path):
    ladder = tiny_ladder.make_classification_ladder(tmp_path / 'ladder')
    with pytest.raises(ValueError, match='only a detector'):
        Decoder(ladder, PipelineOptions(tiling=Tiling(64)))
