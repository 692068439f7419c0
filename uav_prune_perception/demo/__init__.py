# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`make demo`: prune a detector, fly the ladder as a real node under load, report."""
