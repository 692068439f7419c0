# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Who dies: scores, budgets, and the one driver of every method.

Reading order: `recipe` (what is asked), `job` (the whole of it), `driver` (train, then level by
level), `cutting` (one cut), `allocation` and `l1` (its two decisions), `run_folder` (what a second
run starts from). `interfaces` is the vocabulary; `registry` finds methods by name.
"""
