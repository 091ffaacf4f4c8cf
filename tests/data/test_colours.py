"""Grey images for a recipe in colour, and coloured ones for a grey one."""

from pathlib import Path

import pytest
import small
import torch
from own_images import heard

from ssgan.data import named
from ssgan.data.colours import brought
from ssgan.data.own_data import Reading
from ssgan.errors import Mistake

GREY, COLOUR, TWO = (small.dataset(shape=(channels, 6, 8)) for channels in (1, 3, 2))


def test_grey_images_are_made_coloured_and_it_is_said():
    said = []
    found = brought(GREY, "colour", said.append)
    assert found.train.shape == found.test.shape == (3, 6, 8) and len(said) == 1 and "grey images" in said[0]
    assert found.sha256 != GREY.sha256 == small.dataset(shape=(1, 6, 8)).sha256
    index = torch.tensor([5, 0, 5])
    assert torch.equal(found.train.gather(index), GREY.train.gather(index).expand(-1, 3, -1, -1))
    assert found.train.pixels.data_ptr() == GREY.train.pixels.data_ptr(), "nothing is copied"


@pytest.mark.parametrize(("dataset", "wanted"), [(GREY, "any"), (COLOUR, "any"), (TWO, "any"), (GREY, "grey"),
                                                 (COLOUR, "colour")])
def test_what_fits_stays_as_it_is(dataset, wanted):
    assert brought(dataset, wanted, pytest.fail) is dataset


@pytest.mark.parametrize(("dataset", "wanted", "told"), [(COLOUR, "grey", "for grey .* 3 channels"),
                                                         (TWO, "colour", "for colour .* 2 channels")])
def test_what_does_not_fit_is_a_mistake(dataset, wanted, told):
    with pytest.raises(Mistake, match=f"(?s){told}.*--set colours=any"):
        brought(dataset, wanted, pytest.fail)


def test_data_sets_are_read_so():
    reading, watching = heard(colours="colour")
    assert named.load("digits", Path("unused"), reading).train.shape == (3, 8, 8) and "grey" in watching.text
    assert named.load("digits", Path("unused"), Reading(colours="grey")).train.shape == (1, 8, 8)
