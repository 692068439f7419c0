# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""From a torch network to the file that flies: ONNX, proof, latency, ladder."""
