# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The core logs with Python's logging; on a drone people read ROS's."""

from __future__ import annotations

import logging
from typing import Any

PACKAGE = 'uav_prune_perception'


class RosLogHandler(logging.Handler):
    """Hands records on to a ROS logger, with their severity.

    The component comes along: what ``onboard.level_control`` logs, ROS shows as
    ``perception.level_control``, and its level can be set for itself.
    """

    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._parent = logger
        self._children: dict[str, Any] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        try:
            component = record.name.rpartition('.')[2]
            if component not in self._children:
                self._children[component] = self._parent.get_child(component)
            logger = self._children[component]
            # rclpy remembers one severity per calling line: each needs a line of its own.
            if record.levelno >= logging.ERROR:
                logger.error(self.format(record))
            elif record.levelno >= logging.WARNING:
                logger.warning(self.format(record))
            elif record.levelno >= logging.INFO:
                logger.info(self.format(record))
            else:
                logger.debug(self.format(record))
        except Exception:
            self.handleError(record)


def log_through(logger: Any) -> RosLogHandler:
    """Send this package's log records to a ROS logger from now on."""
    handler = RosLogHandler(logger)
    package = logging.getLogger(PACKAGE)
    package.addHandler(handler)
    package.setLevel(logging.DEBUG)  # what is shown, ROS decides
    package.propagate = False
    return handler


def stop_logging(handler: RosLogHandler) -> None:
    """Undo `log_through`: the ROS logger is about to go."""
    logging.getLogger(PACKAGE).removeHandler(handler)
