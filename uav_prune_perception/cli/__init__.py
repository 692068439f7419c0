# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune``. Nothing imports this room, and its help imports nothing heavy."""
