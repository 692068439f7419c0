# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A bag of a replay, with the topics that the node would have published.

Written without ROS by the rosbags library; Foxglove and ``ros2 bag play`` open it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from uav_prune_perception.onboard.drawing import draw
from uav_prune_perception.onboard.results import Result
from uav_prune_perception.onboard.state import LevelState

from .source import ReplayError

NODE = '/perception'
MESSAGES = Path(__file__).parent / 'vision_msgs' / 'msg'
JPEG_QUALITY = 85
BAG_VERSION: Literal[8] = 8  # the metadata that every ROS 2 from Humble on reads


class BagSink:
    """Writes detections (or classifications), the level and the picture with its boxes.

    The bag is written beside its place and renamed when the replay has ended well.

    Args:
        path: folder to make; mcap unless its name ends in .db3.
        classes: of the ladder.
        detection: whether the ladder is a detector.

    Raises:
        ReplayError: the folder is there already.
    """

    def __init__(self, path: Path, classes: tuple[str, ...], *, detection: bool) -> None:
        self._path = path.expanduser()
        if self._path.exists():
            raise ReplayError(f'{path}: is there already; name another bag')
        if not self._path.absolute().parent.is_dir():
            raise ReplayError(f'{path}: there is no folder {path.parent}')
        self._partial = self._path.with_name(f'.{self._path.name}.partial')
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir()
        sqlite = path.suffix == '.db3'
        self._writer = Writer(
            self._partial / self._path.name, version=BAG_VERSION,
            storage_plugin=StoragePlugin.SQLITE3 if sqlite else StoragePlugin.MCAP,
        )
        self._classes = classes
        self._store = message_types()
        self._kinds = {
            f'{NODE}/overlay/compressed': 'sensor_msgs/msg/CompressedImage',
            f'{NODE}/level': 'diagnostic_msgs/msg/DiagnosticStatus',
            **({f'{NODE}/detections': 'vision_msgs/msg/Detection2DArray'} if detection else
               {f'{NODE}/classification': 'vision_msgs/msg/Classification'}),
        }

    def __enter__(self) -> BagSink:
        self._writer.open()
        self._topics = {
            topic: self._writer.add_connection(topic, kind, typestore=self._store)
            for topic, kind in self._kinds.items()
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        if kind is None:  # the file in it is named after its folder, so the folder is made inside
            (self._partial / self._path.name).rename(self._path)
        shutil.rmtree(self._partial, ignore_errors=True)

    def level(self, t_s: float, state: LevelState) -> None:
        """A change of level, as the node publishes it on ``~/level``."""
        values = {'index': state.index, 'previous': state.previous, 'code': state.code,
                  'forced': int(state.forced), 'since_s': f'{t_s:.3f}'}
        pair = self._type('diagnostic_msgs/msg/KeyValue')
        status = self._type('diagnostic_msgs/msg/DiagnosticStatus')(
            level=0, name=state.name, message=state.reason, hardware_id='replay',
            values=[pair(key=key, value=str(value)) for key, value in values.items()],
        )
        self._write(f'{NODE}/level', t_s, status)

    def result(self, t_s: float, result: Result) -> None:
        """What the node publishes for one picture."""
        header = self._header(t_s, result.frame.source)
        done, jpeg = cv2.imencode(
            '.jpg', draw(result, self._classes), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        )
        assert done
        self._write(
            f'{NODE}/overlay/compressed', t_s, self._type('sensor_msgs/msg/CompressedImage')(
                header=header, format='jpeg', data=np.asarray(jpeg, np.uint8).reshape(-1)
            ),
        )
        if result.detections is not None:
            self._write(f'{NODE}/detections', t_s, self._detections(result, header))
        else:
            self._write(f'{NODE}/classification', t_s, self._classification(result, header))

    def _detections(self, result: Result, header: Any) -> Any:
        found = result.detections
        assert found is not None
        rows = zip(found.boxes.tolist(), found.scores.tolist(), found.class_ids, strict=True)
        return self._type('vision_msgs/msg/Detection2DArray')(
            header=header,
            detections=[
                self._type('vision_msgs/msg/Detection2D')(
                    header=header, results=[self._hypothesis(label, score)],
                    bbox=self._box(box), id='',
                )
                for box, score, label in rows
            ],
        )

    def _classification(self, result: Result, header: Any) -> Any:
        best = result.classification
        assert best is not None
        make = self._type('vision_msgs/msg/ObjectHypothesis')
        return self._type('vision_msgs/msg/Classification')(
            header=header,
            results=[
                make(class_id=str(label), score=float(score))
                for label, score in zip(best.class_ids, best.scores, strict=True)
            ],
        )

    def _hypothesis(self, label: int, score: float) -> Any:
        point = self._type('geometry_msgs/msg/Point')(x=0.0, y=0.0, z=0.0)
        turn = self._type('geometry_msgs/msg/Quaternion')(x=0.0, y=0.0, z=0.0, w=1.0)
        pose = self._type('geometry_msgs/msg/PoseWithCovariance')(
            pose=self._type('geometry_msgs/msg/Pose')(position=point, orientation=turn),
            covariance=np.zeros(36),
        )
        return self._type('vision_msgs/msg/ObjectHypothesisWithPose')(
            hypothesis=self._type('vision_msgs/msg/ObjectHypothesis')(
                class_id=str(label), score=score
            ),
            pose=pose,
        )

    def _box(self, corners: list[float]) -> Any:
        x1, y1, x2, y2 = corners
        center = self._type('vision_msgs/msg/Point2D')(x=(x1 + x2) / 2, y=(y1 + y2) / 2)
        return self._type('vision_msgs/msg/BoundingBox2D')(
            center=self._type('vision_msgs/msg/Pose2D')(position=center, theta=0.0),
            size_x=x2 - x1, size_y=y2 - y1,
        )

    def _header(self, t_s: float, frame_id: str) -> Any:
        nanoseconds = round(t_s * 1e9)
        stamp = self._type('builtin_interfaces/msg/Time')(
            sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9
        )
        return self._type('std_msgs/msg/Header')(stamp=stamp, frame_id=frame_id)

    def _type(self, name: str) -> Any:
        return self._store.types[name]

    def _write(self, topic: str, t_s: float, message: Any) -> None:
        data = self._store.serialize_cdr(message, self._kinds[topic])
        self._writer.write(self._topics[topic], round(t_s * 1e9), data)


def message_types() -> Any:
    """Humble's messages and vision_msgs 4."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    found: dict[str, Any] = {}
    for path in sorted(MESSAGES.glob('*.msg')):
        text = path.read_text(encoding='utf-8')
        found.update(get_types_from_msg(text, f'vision_msgs/msg/{path.stem}'))
    store.register(found)
    return store
