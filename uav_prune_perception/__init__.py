# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Prune a CNN into a ladder of engines, and fly the ladder."""

__version__ = '0.1.0'
