"""A few shapes and texts that make an SVG picture of boxes and arrows."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

Point = tuple[float, float]

INK = "#24292f"
FAINT = "#57606a"
_FONT = "Arial, Helvetica, 'DejaVu Sans', sans-serif"
_LINE = 1.25  # of the size of the letters


class Drawing:
    """A picture that grows by every call; units are pixels, y goes down."""

    def __init__(self, width: int, height: int, background: str = "#ffffff") -> None:
        self._size = (width, height)
        self._parts: list[str] = []
        self.box(0, 0, width, height, fill=background, stroke="none", radius=0)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: str = "#ffffff",
        stroke: str = INK,
        radius: float = 5,
        dashed: bool = False,
    ) -> None:
        """A rectangle with its upper left corner at (x, y)."""
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" '
            f'fill="{fill}" stroke="{stroke}"{dash}/>'
        )

    def labelled_box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        lines: Sequence[str],
        *,
        fill: str = "#ffffff",
        stroke: str = INK,
        size: float = 11,
    ) -> None:
        """A rectangle with centred lines of text; those that begin with ``~`` are faint."""
        self.box(x, y, width, height, fill=fill, stroke=stroke)
        top = y + height / 2 - (len(lines) - 1) * size * _LINE / 2 + 0.36 * size
        self.lines(x + width / 2, top, lines, size=size, anchor="middle")

    def lines(
        self, x: float, y: float, lines: Sequence[str], *, size: float = 11, anchor: str = "start"
    ) -> None:
        """Lines of text, the first with its base at y; those that begin with ``~`` are faint."""
        for number, line in enumerate(lines):
            faint = line.startswith("~")
            self.text(
                x,
                y + number * size * _LINE,
                line.removeprefix("~"),
                size=size,
                anchor=anchor,
                colour=FAINT if faint else INK,
            )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 11,
        anchor: str = "start",
        colour: str = INK,
        bold: bool = False,
    ) -> None:
        """One line of text with its base at y; `anchor` is start, middle or end."""
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}" '
            f'fill="{colour}"{weight}>{escape(text)}</text>'
        )

    def arrow(
        self, *points: Point, colour: str = INK, head: bool = True, width: float = 1.3
    ) -> None:
        """A line through the points, with a head at the last one."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        marker = ' marker-end="url(#head)"' if head else ""
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" '
            f'stroke-width="{width:g}"{marker}/>'
        )

    def sum_at(self, x: float, y: float) -> None:
        """A circled plus."""
        self._parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="7" fill="#ffffff" stroke="{INK}"/>')
        self.arrow((x - 4, y), (x + 4, y), head=False)
        self.arrow((x, y - 4), (x, y + 4), head=False)

    def write(self, path: Path, title: str) -> None:
        """Write the picture; `title` is for those who cannot see it."""
        width, height = self._size
        body = "\n".join(self._parts)
        path.write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="{_FONT}" role="img">\n'
            f"<title>{escape(title)}</title>\n"
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            f'markerHeight="7" orient="auto"><path d="M0,0.5 L8,4 L0,7.5 z" fill="{INK}"/>'
            "</marker></defs>\n"
            f"{body}\n</svg>\n",
            encoding="utf-8",
        )
