"""Draws polls by the second as SVG: a line each, a panel for each scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

COLOURS: Final = ("#c0392b", "#2471a3")
_WIDTH, _HEIGHT, _LEFT, _TOP, _PLOT_HEIGHT = 760, 210, 48, 34, 140
_PLOT_WIDTH: Final = _WIDTH - _LEFT - 16
# Of the usual rate; what is above is cut off, and the page says how much it was.
_HIGHEST: Final = 3.0
_SHOWN_S: Final = 120

Lines = Mapping[str, Sequence[float]]
"""What a line is called -> its value by the second."""


def drawing(panels: Mapping[str, Lines]) -> str:
    """Returns an SVG with a panel for each title; values are multiples of the usual rate."""
    inner = "\n".join(_panel(title, lines, number * _HEIGHT) for number, (title, lines) in enumerate(panels.items()))
    height = _HEIGHT * len(panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        ' font-family="sans-serif" font-size="12">\n'
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>\n{inner}\n</svg>\n'
    )


def _panel(title: str, lines: Lines, top: int) -> str:
    parts = [f'<text x="{_LEFT}" y="{top + 16}" font-weight="bold">{escape(title)}</text>']
    for value in (0, 1, 2, 3):
        y = _y(value, top)
        parts.append(f'<line x1="{_LEFT}" x2="{_LEFT + _PLOT_WIDTH}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{value}</text>')
    for second in range(0, _SHOWN_S + 1, 20):
        x, y = _x(second), _y(0, top) + 16
        parts.append(f'<text x="{x}" y="{y}" text-anchor="middle">{second} s</text>')
    for number, (name, values) in enumerate(lines.items()):
        points = " ".join(f"{_x(second + 0.5)},{_y(value, top)}" for second, value in enumerate(values[:_SHOWN_S]))
        colour = COLOURS[number]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        x = _LEFT + _PLOT_WIDTH - 190 * (len(lines) - number - 1)
        parts.append(f'<text x="{x}" y="{top + 16}" text-anchor="end" fill="{colour}">{escape(name)}</text>')
    return "\n".join(parts)


def _x(second: float) -> float:
    return round(_LEFT + _PLOT_WIDTH * second / _SHOWN_S, 1)


def _y(value: float, top: int) -> float:
    return round(top + _TOP + _PLOT_HEIGHT * (1 - min(value, _HIGHEST) / _HIGHEST), 1)
