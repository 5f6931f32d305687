"""Where the pixels of tiles lie, and in which colours."""

import numpy as np
import pytest
import torch

from deepclassics.report import histogram
from deepclassics.report.style import settings
from deepclassics.report.tiles import tiles


def drawn(figure: object) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.axes[0].images[0].get_array())


def test_tiles_lie_row_by_row_with_gaps_of_paper() -> None:
    images = torch.arange(1, 6).float().div(10)[:, None, None, None].expand(5, 1, 4, 4)
    with settings():
        board = drawn(tiles(images, columns=3))
    assert board.shape == (9, 14, 3)
    corners = board[::5, ::5, 0]
    np.testing.assert_allclose(corners, [[0.1, 0.2, 0.3], [0.4, 0.5, 1.0]], rtol=1e-6)
    assert (board[:, 4] == 1).all()
    assert (board[4] == 1).all()


def test_colours_stay_colours_and_titles_stand_at_rows_and_columns() -> None:
    images = torch.zeros(2, 3, 3, 5, 5)
    images[1, 2, 0] = 1
    with settings():
        figure = tiles(images, rows=["one", "two"], heads=["a", "b", "c"])
        board = drawn(figure)
    assert board[6, 12].tolist() == [1, 0, 0]
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    assert axes.get_xticks().tolist() == [2, 8, 14]


@pytest.mark.parametrize(("scale", "second"), [("all", 0.5), ("each", 1.0)])
def test_values_of_either_sign_are_scaled_around_zero(scale: str, second: float) -> None:
    images = torch.zeros(1, 2, 1, 2, 2)
    images[0, 0, 0, 0, 0], images[0, 1, 0, 0, 0] = -4, 2
    with settings():
        board = drawn(tiles(images, scale=scale))
    assert board[0, 0] == -1
    assert board[0, 3] == second
    assert board[1, 1] == 0
    assert np.ma.getmaskarray(np.ma.masked_invalid(board))[0, 2], "a gap is no value"


def test_a_dead_unit_is_blank() -> None:
    with settings():
        assert (drawn(tiles(torch.zeros(1, 1, 1, 2, 2), scale="each")) == 0).all()


def test_a_histogram_shows_shares() -> None:
    with settings():
        figure = histogram.histogram({"a": torch.tensor([0.1, 0.1, 0.9, 1.0]), "b": torch.rand(9)}, "x", (0.0, 1.0), 2)
        figure.canvas.draw()
    values = figure.axes[0].patches[0].get_data().values
    assert values.tolist() == [0.5, 0.5]
