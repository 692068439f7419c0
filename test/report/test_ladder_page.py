# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The report of a ladder: true figures, no network, and a page that a real browser shows."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import shutil
import subprocess

import cv2
import numpy as np
import pytest
from tiny_ladder import make_detection_ladder

from uav_prune_perception.cli.main import main
from uav_prune_perception.ladder import DeviceProfile, add_profiles
from uav_prune_perception.report.ladder_figures import (
    class_table,
    common_device,
    figure_table,
    level_table,
)
from uav_prune_perception.report.ladder_page import ladder_markdown, ladder_page

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')


@pytest.fixture
def ladder(tmp_path):
    made = make_detection_ladder(tmp_path / 'tiny')
    profiles = {
        name: DeviceProfile('an engine', 100, p50, p50 + 1, p50 + 2)
        for name, p50 in (('100', 20.0), ('50', 10.0), ('25', 5.0))
    }
    return add_profiles(made, 'a board', profiles)


def test_the_figures_are_those_of_the_ladder(ladder):
    assert common_device([ladder]) == 'a board'
    figures = level_table([ladder], 'a board')
    rows = {row[0]: row for row in figures.rows}
    assert [row[-1] for row in figures.rows] == ['1.00', '2.00', '4.00']
    assert rows['50'][-2] == '10.00 / 11.00 / 12.00'
    assert rows['25'][1] == f'{100 * ladder.level("25").kept_macs:.1f} %'
    text = ladder_markdown([ladder])
    assert '| 50 |' in text
    assert 'a board, an engine' in text


def test_a_level_that_was_not_profiled_shows_no_number(tmp_path):
    plain = make_detection_ladder(tmp_path / 'plain')
    assert common_device([plain]) == ''
    assert {row[-1] for row in level_table([plain], '').rows} == {'–'}


def test_worst_class_and_small_objects_at_every_level(ladder):
    assert figure_table(ladder) is None
    levels = tuple(
        dataclasses.replace(level, accuracy=dataclasses.replace(
            level.accuracy, per_class={'red': 0.9, 'blue': value},
            figures={'mAP50_small': value / 2},
        ))
        for level, value in zip(ladder.levels, (0.8, 0.6, 0.4), strict=True)
    )
    shown = figure_table(dataclasses.replace(ladder, levels=levels))
    assert shown.rows[0] == ['worst class', 'blue 0.800', 'blue 0.600', 'blue 0.400']
    assert shown.rows[1][1:] == ['0.400', '0.300', '0.200']


def test_each_class_and_what_it_lost(ladder):
    levels = tuple(
        dataclasses.replace(level, accuracy=dataclasses.replace(level.accuracy, per_class=found))
        for level, found in zip(
            ladder.levels,
            ({'red': 0.9, 'blue': 0.8}, {'red': 0.85}, {'red': 0.8, 'blue': 0.3}), strict=True,
        )
    )
    table = class_table(dataclasses.replace(ladder, levels=levels))
    assert table is not None
    assert table.rows == [
        ['red', '0.900', '0.850', '0.800', '-0.100'], ['blue', '0.800', '–', '0.300', '-0.500']
    ]


def test_the_page_needs_nothing_from_outside(ladder):
    page = ladder_page([ladder])
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert '<script' not in page


def test_report_and_compare_from_the_command_line(ladder, tmp_path, capsys):
    picture = np.zeros((256, 320, 3), np.uint8)
    picture[96:160, 80:160] = (0, 0, 255)
    cv2.imwrite(str(tmp_path / 'red.png'), picture)
    page = tmp_path / 'out.html'
    assert main([
        'report', str(ladder.folder), '-o', str(page), '--pictures', str(tmp_path / 'red.png'),
    ]) == 0
    text = page.read_text()
    assert text.count('data:image/jpeg;base64,') == 3
    assert 'red.png, level 25, 1 found' in text
    capsys.readouterr()
    assert main(['compare', str(ladder.folder), str(ladder.folder), '--json']) == 0
    assert len(json.loads(capsys.readouterr().out)) == 6
    assert main(['compare', str(ladder.folder), '-o', str(tmp_path / 'x.pdf')]) == 2
    assert main(['report', str(ladder.folder), '-o', str(page), '--pictures', 'no.png']) == 2
    errors = capsys.readouterr().err
    assert 'a report ends in .html or .md' in errors
    assert 'no.png: no picture' in errors


PHONE = 390  # pixels; Chromium's own window cannot be so narrow, a frame in it can
FRAME = """<body style="margin:0; background:lime">
<iframe style="width:390px; height:1600px; border:0; background:white" srcdoc="{page}"></iframe>
<script>addEventListener('load', () => {{
  const page = document.querySelector('iframe').contentDocument.documentElement
  if (page.scrollWidth > {phone}) document.body.style.background = 'red'
}})</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason='needs Chromium')
@pytest.mark.slow
def test_a_phone_shows_it_without_a_complaint_and_without_scrolling_sideways(ladder, tmp_path):
    curves = [{'phase': 'training', 'loss': [2.0, 1.0, 0.5], 'accuracy': [None, 0.4, 0.5]}]
    learnt = dataclasses.replace(
        ladder, provenance={**ladder.provenance, 'training': curves, 'commit': 'f' * 40}
    )
    text = ladder_page([learnt, learnt])
    assert text.count('Accuracy on val') == 2
    page, shot = tmp_path / 'page.html', tmp_path / 'shot.png'
    page.write_text(FRAME.format(page=html.escape(text), phone=PHONE))
    done = subprocess.run(
        [CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic',
         '--no-first-run', '--disable-background-networking', '--disable-component-update',
         '--disable-sync', '--enable-logging=stderr', '--v=0', '--hide-scrollbars',
         f'--user-data-dir={tmp_path / "profile"}', f'--screenshot={shot}',
         '--window-size=600,1600', page.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )
    assert 'CONSOLE' not in done.stderr
    picture = cv2.imread(str(shot))
    assert picture[800, 500].tolist() == [0, 255, 0], 'the page is wider than a phone'
    assert picture[:400, :PHONE].std() > 15  # a heading, a drawing: not a blank page
