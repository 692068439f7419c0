# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The node publishes the golden boxes (test/golden_detector.py) under every setting, live."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_detector import SETTINGS, golden, make_ladder, picture
from node_driver import running_node

pytestmark = pytest.mark.dds
pytest.importorskip('torch')

PLAIN: dict[str, Any] = {
    'postprocess__score_threshold': -1.0, 'postprocess__iou_threshold': -1.0,
    'postprocess__class_filter': [''], 'postprocess__class_thresholds': [''],
    'postprocess__nms': 'ladder', 'postprocess__max_detections': 0,
}


def parameters(settings: dict[str, Any]) -> dict[str, Any]:
    """The node's parameters for some options of the pipeline."""
    found = dict(PLAIN)
    for name, value in settings.items():
        if name == 'class_aware_nms':
            found['postprocess__nms'] = 'class_aware' if value else 'agnostic'
        elif name == 'class_thresholds':
            found['postprocess__class_thresholds'] = [f'{n}={v}' for n, v in value.items()]
        else:
            found[f'postprocess__{name}'] = list(value) if isinstance(value, tuple) else value
    return found


def test_the_node_publishes_what_torch_computes(dds: None, tmp_path: Path):
    make_ladder(tmp_path / 'ladder')
    fast = {'engine__threads': 1, 'telemetry__sensors': 'none'}
    with running_node('golden', tmp_path, ladder__path=tmp_path / 'ladder', **fast) as (
        node, driver
    ):
        assert driver.transition('configure'), node.output()
        assert driver.transition('activate'), node.output()
        driver.wait_for_camera()
        for name, settings in SETTINGS.items():
            assert driver.set(**parameters(settings)) == ''
            want = np.array(golden()[name])
            labels = want[:, 5].astype(int).tolist()

            def these(labels: list[int] = labels) -> Any:
                """The boxes, as soon as the node has taken the change in (0.1 s)."""
                found = driver.detect(picture(), 'rgb8').detections
                got = [int(item.results[0].hypothesis.class_id) for item in found]
                return found if got == labels else None

            found = driver.wait_until(these, f'the boxes of "{name}"')
            scores = [item.results[0].hypothesis.score for item in found]
            np.testing.assert_allclose(scores, want[:, 4], atol=2e-4)
            boxes = [item.bbox for item in found]
            corners = [
                (b.center.position.x - b.size_x / 2, b.center.position.y - b.size_y / 2,
                 b.center.position.x + b.size_x / 2, b.center.position.y + b.size_y / 2)
                for b in boxes
            ]
            np.testing.assert_allclose(corners, want[:, :4], atol=2e-3)
        assert 'no class dog' in driver.set(postprocess__class_thresholds=['dog=0.5'])
        assert 'NAME=NUMBER' in driver.set(postprocess__class_thresholds=['car'])
        # Tiles of half the picture's width, live: 3 of them, and the whole.
        assert driver.set(**PLAIN, tiling__width_px=48, tiling__overlap=0.0) == ''

        def more_runs_than_pictures() -> bool:
            """Of pictures that came after the node had taken the change in (0.1 s)."""
            assert driver.detect(picture(), 'rgb8').detections
            values = driver.stats[-1].values if driver.stats else []
            last = {item.key: item.value for item in values}
            return int(last.get('engine_runs', 0)) > int(last.get('processed', 0)) + 2

        driver.wait_until(more_runs_than_pictures, 'engine_runs in ~/stats')
