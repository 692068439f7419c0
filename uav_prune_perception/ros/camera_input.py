# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One camera's topic: subscribed to while images are wanted, its messages made frames."""

from __future__ import annotations

import math
import time
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from ..onboard.frame import Frame
from ..onboard.pipeline import Pipeline
from ..onboard.statistics import CameraSnapshot
from . import qos
from .diagnostics import InputView
from .guarded import guarded
from .image_conversion import ImageError, frame_from_compressed, frame_from_image
from .image_reader import ImageReader
from .image_taker import image_taker, take_message
from .parameters import Settings

FAILURE_SHOWN_S = 5.0  # diagnostics come once a second: a failure must not slip through


class CameraInput:
    """Feeds one camera's images to the pipeline.

    They come in a thread of their own (`ImageReader`); every method is called in the executor's.
    """

    def __init__(self, node: Node, pipeline: Pipeline, name: str, settings: Settings) -> None:
        """Nothing is subscribed to yet; ``name`` is '' where there is only one camera."""
        self._node, self._pipeline, self.name = node, pipeline, name
        self.settings = settings
        self._subscription: Any = None
        self._reader: ImageReader | None = None
        self._heard_s = math.nan  # last image, or the beginning of listening
        self._failed, self._failed_s, self._reason = 0, -math.inf, ''
        self._stale, self._stale_s = 0, -math.inf
        self._processed, self._processed_s = 0, -math.inf
        self._all_stale = False

    @property
    def topic(self) -> str:
        """The topic's name, before remapping."""
        raw = self.settings.text('input.transport') == 'raw'
        topic = 'image' if raw else 'image/compressed'
        return f'{self.name}/{topic}' if self.name else topic

    @property
    def listening(self) -> bool:
        """Whether it is subscribed."""
        return self._subscription is not None

    def listen(self, wanted: bool) -> None:
        """Take images, or take none any more; harmless when that is so already."""
        if wanted == self.listening:
            return
        if wanted:
            self._heard_s = self._processed_s = time.monotonic()
            self._subscribe()
        else:
            if self._reader is not None:
                self._reader.stop()
            self._node.destroy_subscription(self._subscription)
            self._subscription, self._reader, self._heard_s = None, None, math.nan

    def view(self, snapshot: CameraSnapshot) -> InputView:
        """For diagnostics."""
        now = time.monotonic()
        if snapshot.failed > self._failed:
            self._failed, self._failed_s = snapshot.failed, now
            self._reason = snapshot.last_failure
        recent = self._reason if now - self._failed_s < FAILURE_SHOWN_S else ''
        topic = self._node.resolve_topic_name(self.topic)
        return InputView(
            self.name, topic, self._node.count_publishers(topic), now - self._heard_s,
            self.settings.number('input.timeout_s'), recent or self._too_old(snapshot, now),
            self.listening,
        )

    def _too_old(self, snapshot: CameraSnapshot, now: float) -> str:
        """What to say when images come, but each is too old by its stamp; '' = it is not so."""
        if snapshot.processed > self._processed:
            self._processed, self._processed_s = snapshot.processed, now
        if snapshot.stale > self._stale:
            self._stale, self._stale_s = snapshot.stale, now
        stale, before = now - self._stale_s < FAILURE_SHOWN_S, self._all_stale
        self._all_stale = stale and now - self._processed_s >= FAILURE_SHOWN_S and self.listening
        if not self._all_stale:
            return ''
        limit_ms = self.settings.number('input.max_image_age_ms')
        text = (
            f'every image is older than input.max_image_age_ms ({limit_ms:g} ms) by its stamp: '
            "the camera's clock is another one, or use_sim_time is wrong for a bag"
        )
        if not before:
            self._node.get_logger().warning(text)
        return text

    def _subscribe(self) -> None:
        raw = self.settings.text('input.transport') == 'raw'
        callback = guarded(
            self._on_image if raw else self._on_compressed, self._node.get_logger()
        )
        self._subscription = qos.subscribe(
            self._node, Image if raw else CompressedImage, self.topic, callback, qos.newest_only()
        )
        take = image_taker() if raw else take_message(CompressedImage)
        self._reader = ImageReader(self._node, self._subscription, take, callback)
        self._reader.start()

    def _on_image(self, message: Image) -> None:
        self._take(frame_from_image, message)

    def _on_compressed(self, message: CompressedImage) -> None:
        self._take(frame_from_compressed, message)

    def _take(self, convert: Any, message: Any) -> None:
        self._heard_s = time.monotonic()
        depth16 = self.settings.text('input.depth16')
        try:
            frame: Frame = convert(message, depth16=depth16, camera=self.name)
        except ImageError as error:
            self._pipeline.reject(str(error), self.name)
        else:
            self._pipeline.submit(frame)
