"""How all pictures look: colours that the colour-blind can tell apart, letters that survive print, no idle ink.

Picture functions make a bare `matplotlib.figure.Figure` (never pyplot: it keeps figures and chooses windows), and the
page draws and saves them inside `settings()`, so the look is decided here and nowhere else.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito 2008, without the yellow that is lost on white, and with black last.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
PALETTE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, "#444444")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, FAINT = "#222222", "#8a8a8a"

# Where the letters of other scripts are found, on the systems that people have; the first that is there is taken.
FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei",
         "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "SimHei", "Arial Unicode MS")  # fmt: skip


@contextmanager
def settings() -> Iterator[None]:
    """Draw and save inside it."""
    import matplotlib
    from cycler import cycler

    look: Any = {
        "font.family": list(_fonts()),
        "font.size": 9,
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelcolor": INK,
        "axes.edgecolor": FAINT,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=PALETTE),
        "text.color": INK,
        "text.parse_math": False,  # names are the user's: a dollar sign in one is a dollar sign
        "xtick.color": INK,
        "ytick.color": INK,
        "grid.color": "#e4e4e4",
        "grid.linewidth": 0.7,
        "legend.edgecolor": "none",
        "legend.framealpha": 0.85,
        "legend.fontsize": 8.5,
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
    }
    with matplotlib.rc_context(look):
        yield


def sheet(width: float, height: float) -> "Figure":
    """An empty figure of so many inches, whose parts keep out of each other's way."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def grid(axes: "Axes") -> None:
    """Faint lines behind the data."""
    axes.set_axisbelow(True)
    axes.grid(True)


def marks(count: int) -> list[tuple[str, str]]:
    """A colour and a marker for each of `count` classes: no two the same up to 49."""
    return [(PALETTE[k % 7], MARKERS[(k + k // 7) % 7]) for k in range(count)]


def drawable(labels: Sequence[str], most: int = 24) -> list[str]:
    """Labels as a picture can show them: cut to `most` letters; "#3" for label 3 where no font here has its letters."""
    return [_cut(label, most) if has_letters(label) else f"#{place}" for place, label in enumerate(labels)]


def has_letters(text: str) -> bool:
    """Whether the fonts of this machine have every letter of `text`."""
    return all(_has(letter) for letter in text)


def percent(share: float, digits: int = 1) -> str:
    """A share in [0, 1] as "1.7 %"."""
    return f"{100 * share:.{digits}f} %"


def thin(count: int, most: int) -> Iterable[int]:
    """At most `most` of the places 0 ... count - 1, evenly spread."""
    return range(0, count, -(-count // most)) if count else ()


def _cut(label: str, most: int) -> str:
    return label if len(label) <= most else label[: most - 1] + "…"


@functools.cache
def _fonts() -> tuple[str, ...]:
    from matplotlib.font_manager import fontManager

    known = {font.name for font in fontManager.ttflist}
    return ("DejaVu Sans", *[name for name in FONTS if name in known][:1])


@functools.cache
def _has(letter: str) -> bool:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return any(get_font(findfont(FontProperties(family=[name]))).get_char_index(ord(letter)) for name in _fonts())
