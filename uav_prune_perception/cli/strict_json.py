# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What commands print for programs: JSON as RFC 8259 has it, which knows no NaN."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def strict_json(document: Any, indent: int | None = None) -> str:
    """One document; numbers that are not finite, our "unknown", are null.

    Args:
        document: of mappings, sequences, texts and numbers.
        indent: as for `json.dumps`.
    """
    return json.dumps(_known(document), indent=indent, allow_nan=False)


def _known(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _known(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_known(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
