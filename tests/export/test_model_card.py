"""The card of an exported classifier: kept whole in texts and tables, and refused where it says too little."""

import pytest

from ssgan.errors import Mistake
from ssgan.export.model_card import Card, of_strings, of_table

GREY = Card(("a", "b"), 1, 4, 6, "small", 8, None, "run", "0")
COLOUR = Card(("a", "b"), 3, 4, 6, "small", 8, 0.5, "run", "0")


def test_a_card_survives_texts_and_tables():
    for card in (GREY, COLOUR, Card(("ä", 'q"uote', "a,b"), 2, 1, 9, "data set", 3, None, "", "1")):
        assert of_strings(card.strings(), "x") == of_table(card.table(), "x") == card


@pytest.mark.parametrize(
    "change", [{"classes": None}, {"classes": []}, {"height": "x"}, {"width": 0}, {"classes": [1]}, {"labels": None}])
def test_a_card_that_says_too_little_is_foreign(change):
    with pytest.raises(Mistake, match="x was not written by `ssgan export`"):
        of_table(GREY.table() | change, "x")
    with pytest.raises(Mistake, match="x was not written"):
        of_strings({"ssgan.classes": "[", "producer": "other"}, "x")
