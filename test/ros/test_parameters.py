# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Values that the table of parameters does not let pass, without DDS."""

from __future__ import annotations

import pytest
from rclpy.parameter import Parameter

from uav_prune_perception.ros.parameter_table import TABLE
from uav_prune_perception.ros.parameters import Settings

DEFAULTS = Settings({spec.name: spec.default for spec in TABLE})


def with_cameras(*names: str) -> Settings:
    return DEFAULTS.changed([Parameter('cameras', value=list(names))])


def test_one_camera_without_a_name_is_the_default():
    assert DEFAULTS.cameras == ('',)
    assert with_cameras('').cameras == ('',)
    assert with_cameras('front', 'down_2').cameras == ('front', 'down_2')


@pytest.mark.parametrize(
    ('names', 'reason'),
    [(('front', 'a/b'), '"a/b" cannot be'), (('2nd',), '"2nd"'), (('a', 'a'), '"a" is there')],
)
def test_camera_names_must_fit_into_topics_and_differ(names, reason):
    with pytest.raises(ValueError, match=reason):
        with_cameras(*names)
