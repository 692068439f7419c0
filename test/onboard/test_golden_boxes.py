# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The same boxes from torch, from ONNX Runtime and (test_node_golden.py) from the node."""

from __future__ import annotations

import queue

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from golden_detector import SETTINGS, golden, make_ladder, network, picture  # noqa: E402

from uav_prune_perception.onboard import Frame, Pipeline, PipelineOptions, make_policy  # noqa: E402
from uav_prune_perception.onboard.decode import Decoder  # noqa: E402
from uav_prune_perception.onboard.preprocess import Preprocessor  # noqa: E402


@pytest.fixture(scope='module')
def ladder(tmp_path_factory):
    return make_ladder(tmp_path_factory.mktemp('golden') / 'ladder')


def check(found, name):
    want = np.array(golden()[name])
    assert found.class_ids.tolist() == want[:, 5].astype(int).tolist()
    np.testing.assert_allclose(found.boxes, want[:, :4], atol=2e-3)
    np.testing.assert_allclose(found.scores, want[:, 4], atol=2e-4)


@pytest.mark.parametrize('name', SETTINGS)
def test_torch(ladder, name):
    tensor, geometry = Preprocessor(ladder.input)(picture(), 'rgb')
    with torch.no_grad():
        output = network()(torch.from_numpy(tensor)).numpy()
    decoder = Decoder(ladder, PipelineOptions(**SETTINGS[name]))
    check(decoder({'predictions': output}, geometry), name)


def test_onnx_runtime_in_the_pipeline_under_settings_that_change_in_flight(ladder):
    results: queue.Queue = queue.Queue()
    pipeline = Pipeline(ladder, policy=make_policy('static'), on_result=results.put)
    pipeline.load()
    pipeline.start()
    for name, settings in SETTINGS.items():
        pipeline.configure(PipelineOptions(**settings))
        pipeline.submit(Frame(picture(), 'rgb'))
        check(results.get(timeout=20).detections, name)
    pipeline.close()
