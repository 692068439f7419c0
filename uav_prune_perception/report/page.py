# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Small pieces of a self-contained HTML page: no scripts, no network."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page from body parts that are HTML already."""
    template = Template((Path(__file__).parent / 'page.html').read_text(encoding='utf-8'))
    return template.substitute(title=html.escape(title), body='\n'.join(parts))


def heading(text: str, lead: str = '') -> str:
    """A section heading with an optional sentence under it."""
    below = f'<p class="lead">{html.escape(lead)}</p>' if lead else ''
    return f'<h2>{html.escape(text)}</h2>{below}'


def remark(text: str) -> str:
    """A line that stands out."""
    return f'<p class="remark">{html.escape(text)}</p>'


def cards(items: Sequence[tuple[str, str]]) -> str:
    """Headline figures: (figure, what it is)."""
    inner = (
        f'<div class="card"><b>{html.escape(figure)}</b><span>{html.escape(label)}</span></div>'
        for figure, label in items
    )
    return f'<div class="cards">{"".join(inner)}</div>'


MANY = 5  # columns; on a phone the rows of such a table stand below each other


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, wide: int | None = None) -> str:
    """A table; first column left, others right; column ``wide`` wraps. Cells are escaped."""
    lines = []
    for tag, row in [('th', head), *(('td', row) for row in rows)]:
        cells = []
        for index, (name, cell) in enumerate(zip(head, row, strict=True)):
            kind = ' class="reason"' if index == wide else ''
            label = f' data-head="{html.escape(name)}"' if tag == 'td' else ''
            cells.append(f'<{tag}{kind}{label}>{html.escape(cell)}</{tag}>')
        lines.append(f'<tr>{"".join(cells)}</tr>')
    kind = ' class="many"' if len(head) >= MANY else ''
    return f'<div class="scroll"><table{kind}>{"".join(lines)}</table></div>'


def plots(drawings: Sequence[str]) -> str:
    """SVG drawings side by side, or one below the other on a phone."""
    return f'<div class="plots">{"".join(f"<div>{one}</div>" for one in drawings)}</div>'


def image(jpeg_base64: str, caption: str) -> str:
    """An embedded JPEG with a caption."""
    text = html.escape(caption)
    return (
        f'<figure><img alt="{text}" src="data:image/jpeg;base64,{jpeg_base64}">'
        f'<figcaption>{text}</figcaption></figure>'
    )
