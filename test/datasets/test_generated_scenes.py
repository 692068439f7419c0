# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from uav_prune_perception.datasets.generated_scenes import (
    CLASSES,
    _in_convoys,
    flight,
    generated_set,
    scene,
)


def test_a_scene_is_decided_by_its_seed():
    image, boxes, labels = scene((4, 2))
    again = scene((4, 2))
    assert image.shape == (256, 320, 3)
    assert image.dtype == np.uint8
    assert np.array_equal(image, again[0])
    assert np.array_equal(boxes, again[1])
    assert np.array_equal(labels, again[2])
    assert not np.array_equal(image, scene((4, 3))[0])


def test_boxes_are_inside_and_of_the_promised_sizes():
    made = [scene((1, index)) for index in range(60)]
    boxes = np.concatenate([m[1] for m in made])
    labels = np.concatenate([m[2] for m in made])
    assert set(labels) == set(range(len(CLASSES)))
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2] <= 320).all()
    assert (boxes[:, 3] <= 256).all()
    longest = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    assert np.percentile(longest, 2) > 6
    assert np.percentile(longest, 98) < 60


def test_a_box_frames_what_was_painted():
    """White on black: the painted pixels end where the box ends."""
    from uav_prune_perception.datasets.scene_ground import paint_ground
    from uav_prune_perception.datasets.scene_objects import box_of, paint_thing, place_things

    rng = np.random.default_rng(5)
    ground = paint_ground(rng, 320, 256)
    things = place_things(ground, rng, 10, 1.0)
    assert len(things) == 10
    for thing in things:
        box = box_of(thing)
        if box.min() < 0 or box[2] > 320 or box[3] > 256:
            continue
        painted = np.zeros_like(ground.image)
        thing.paint[:] = 255
        paint_thing(painted, thing, np.zeros(2))
        y, x = np.nonzero(painted[..., 0] > 100)
        seen = [x.min(), y.min(), x.max() + 1, y.max() + 1]
        np.testing.assert_allclose(seen, box, atol=1.0)


def test_a_flight_moves_smoothly_and_sees_things():
    frames = list(flight(7, 12, rate_hz=10.0, world=900))
    assert sum(len(frame.labels) for frame in frames) > 12
    assert frames[5].time_s == 0.5
    change = np.abs(frames[0].image.astype(int) - frames[1].image.astype(int)).mean()
    far = np.abs(frames[0].image.astype(int) - frames[11].image.astype(int)).mean()
    assert 0 < change < far


def test_vehicles_of_one_lane_keep_their_distance_in_flight():
    from uav_prune_perception.datasets.scene_ground import paint_ground
    from uav_prune_perception.datasets.scene_objects import place_things

    rng = np.random.default_rng(3)
    things = _in_convoys(place_things(paint_ground(rng, 900, 900), rng, 80, 1.0))
    lanes = {}
    for thing in things:
        if thing.lane is not None:
            lanes.setdefault(tuple(thing.lane[0]), set()).add(thing.speed)
    assert len(lanes) > 2
    assert all(len(speeds) == 1 for speeds in lanes.values())


def test_splits_differ_and_the_digest_follows_the_content():
    data = generated_set(train=3, val=2, test=2, width=96, height=64)
    assert len(data.split('train')) == 3
    assert not np.array_equal(data.split('val').images[0], data.split('test').images[0])
    assert data.sha256 == generated_set(train=3, val=2, test=2, width=96, height=64).sha256
    assert data.sha256 != generated_set(train=3, val=2, test=2, width=96, height=64, seed=1).sha256
