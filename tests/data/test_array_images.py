"""`Layout`: channels first or last are found, asked about or told, and lie where they should in the pixels."""

import numpy as np
import pytest

from ssgan.data.array_images import Layout


@pytest.mark.parametrize(("shape", "channels", "found"), [
    ((8, 9), None, Layout((1, 8, 9))), ((3, 8, 9), None, Layout((3, 8, 9))), ((8, 9, 3), None, Layout((3, 8, 9), True)),
    ((8, 9, 1), None, Layout((1, 8, 9))), ((1, 8, 9), None, Layout((1, 8, 9))),
    ((8, 9, 4), None, Layout((4, 8, 9), True)), ((3, 8, 3), "first", Layout((3, 8, 3))),
    ((3, 8, 3), "last", Layout((3, 3, 8), True)), ((13, 8, 9), "first", Layout((13, 8, 9))),
    ((8, 9, 13), "last", Layout((13, 8, 9), True)), ((8, 9), "last", Layout((1, 8, 9)))])
def test_where_the_channels_are(shape, channels, found):
    assert Layout.of(shape, channels, "X") == found


@pytest.mark.parametrize("shape", [(3, 8, 3), (13, 8, 9), (8, 9, 13), (4, 4, 4), (1, 8, 1), (1, 3, 3)])
def test_what_may_mean_both_is_asked_about(shape):
    with pytest.raises(ValueError, match="say channels='first' or channels='last'"):
        Layout.of(shape, None, "X")


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="channels='channels_last': it is 'first', 'last' or None"):
        Layout.of((8, 9), "channels_last", "X")


def test_pixels_are_the_same_however_they_lie():
    first = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)  # [n, c, h, w]
    last = np.moveaxis(first, 1, -1)
    layouts = Layout((3, 4, 5)), Layout((3, 4, 5), True)
    for layout in layouts:
        for images, found in zip((first, last), layouts, strict=True):
            assert (layout.pixels(layout.rows(images, found)) == first).all()
    assert (layouts[1].rows(last, layouts[1]) == last.reshape(2, -1)).all()
