"""Pages: the pieces of HTML that reports are made of, and pictures as files beside them."""

import warnings
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS = 160  # of a picture, an inch: sharp on a screen of two dots a pixel, and in print


def save(figure: "Figure", file: Path) -> bool:
    """Writes a figure as PNG. Returns whether the fonts of this machine lack some of its letters."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", message="Glyph .* missing from font")
        figure.savefig(file, dpi=DOTS)
    return any("missing from font" in str(warning.message) for warning in caught)


def section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n{content}</section>"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str, numbers: Iterable[int] = ()) -> str:
    """A table of cells that are HTML already; the first of a row is its head. `numbers` are the columns of numbers."""
    kinds = ['class="number"' if column in set(numbers) else "" for column in range(len(heads))]
    top = "".join(f'<th scope="col" {kind}>{escape(head)}</th>' for head, kind in zip(heads, kinds, strict=True))
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f"<td {kind}>{cell}</td>" for cell, kind in zip(row[1:], kinds[1:], strict=True))
        + "</tr>\n"
        for row in rows
    )
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )


def whole(title: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="script-src 'none'; object-src 'none'">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
{body}
</body>
</html>
"""


STYLE = """
:root { --ink: #1b1f23; --soft: #59626b; --paper: #ffffff; --line: #d9dde1; --card: #f5f7f8; --mark: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ea; --soft: #a3abb3; --paper: #16191c; --line: #363c42; --card: #20252a; --mark: #56b4e9; }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; color: var(--ink);
  background: var(--paper); margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 60rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .7rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; }
p { max-width: 46rem; margin: .5rem 0; }
.lead { font-size: 1.15rem; color: var(--soft); margin-top: 0; }
.verdict { border-left: 4px solid var(--mark); background: var(--card); padding: .6rem .9rem; font-weight: 600; }
.note { border-left: 4px solid #e69f00; background: var(--card); padding: .6rem .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; min-width: min(100%, 34rem); }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; max-width: 46rem; }
th, td { text-align: left; vertical-align: top; padding: .32rem 1.1rem .32rem 0; border-bottom: 1px solid var(--line); }
thead th { border-bottom: 2px solid var(--line); color: var(--soft); font-weight: 600; }
tbody th { font-weight: 500; white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
li { max-width: 46rem; }
td ul { margin: 0; padding-left: 1rem; }
figure { margin: .5rem 0 1rem; padding: .9rem; background: #ffffff; color: #1b1f23; border: 1px solid var(--line);
  border-radius: 8px; width: fit-content; max-width: 100%; }
figure img { display: block; max-width: 100%; height: auto; }
figcaption { font-size: .9rem; color: #59626b; margin-top: .6rem; max-width: 44rem; }
figure.text { background: var(--card); color: var(--ink); width: auto; }
figure.text figcaption { color: var(--soft); }
pre { font: .88rem/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  margin: .3rem 0 .9rem; white-space: pre-wrap; overflow-wrap: anywhere; }
section > pre { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .55rem .8rem; }
pre code { user-select: all; }
figure pre { margin: 0; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .92em; }
@media print {
  :root { --ink: #000; --soft: #444; --paper: #fff; --line: #bbb; --card: #fff; }
  body { font-size: 10.5pt; max-width: none; padding: 0; }
  h2, h3 { break-after: avoid; }
  figure, tr, pre { break-inside: avoid; }
  .wide { overflow: visible; }
}
"""
