# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What is odd about an engine's answers, though it computes just what its network computes.

A dead network passes every proof of equality: both say the same, to every picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uav_prune_perception.ladder import BoxesScores
from uav_prune_perception.training.task import LearningTask

from .verification import BOX_ROWS, Agreement

# An answer that moves by less than this share of its size, whatever the picture, does not move:
# float32 noise is 1e-6, and what a network trained for three steps says moves by 1e-3.
STILL = 1e-4
MEND = 'train longer, cut less, or look at its weights'


def remarks(task: LearningTask, agreement: Agreement, answers: list[Any]) -> list[str]:
    """One line for each oddity, none for an engine that is worth flying.

    Args:
        task: judged by.
        agreement: of engine and network, with the spread of its answers.
        answers: to the test pictures, as `Witness` keeps them.
    """
    shaky = [
        'the network amplifies rounding: the engine differs from it by '
        f'{agreement.relative_error:.1e}, and in float32 it is itself '
        f'{agreement.rounding:.1e} off its exact answer; {MEND}'
    ] if agreement.rounding else []
    detection = task.kind == 'detection'
    spread = agreement.spread[BOX_ROWS:] if detection else agreement.spread
    if spread and max(spread) < STILL:
        what = 'scores do' if detection else 'answer does'
        return [
            f'its {what} not depend on the picture (the same to all {agreement.inputs} that it '
            f'was shown): a dead or untrained network; {MEND}', *shaky
        ]
    silent = _silent(task, answers) if detection else _monotonous(task, answers)
    return [*([silent] if silent else []), *shaky]


def _silent(task: LearningTask, answers: list[Any]) -> str | None:
    decode = task.decode
    if not answers or not isinstance(decode, BoxesScores):
        return None
    own = decode.class_thresholds or {}
    wanted = np.array([own.get(name, decode.score_threshold) for name in task.classes])
    scores = np.concatenate([answer.scores for answer in answers])
    labels = np.concatenate([answer.labels for answer in answers])
    if (scores >= wanted[labels]).any():
        return None
    best = f'the best score is {scores.max():.2g}' if len(scores) else 'no score is above 0.01'
    return (
        f'flies without a single box: none of {len(answers)} test pictures has one at '
        f'postprocess.score_threshold {decode.score_threshold:g} ({best}); train longer, cut '
        'less, or lower the threshold'
    )


def _monotonous(task: LearningTask, answers: list[Any]) -> str | None:
    if len(answers) < 2 or len(task.classes) < 2 or len(set(answers)) > 1:
        return None
    name = task.classes[answers[0]]
    return f'takes every one of {len(answers)} test pictures for "{name}"; {MEND}'
