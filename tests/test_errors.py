"""Mistakes about names: the nearest one, and a list that a person can read."""

from ssgan.errors import Mistake, unknown


def test_the_nearest_name_is_suggested_and_all_are_listed_in_order():
    mistake = unknown("data set", "minst", ["mnist", "digits", "fashion-mnist"])
    assert isinstance(mistake, Mistake)
    assert str(mistake) == "no data set is called 'minst'. did you mean mnist? Known: digits, fashion-mnist, mnist."


def test_a_name_like_no_other_gets_no_suggestion():
    assert str(unknown("recipe", "xyzzy",
                       iter(["mnist", "digits"]))) == "no recipe is called 'xyzzy'. Known: digits, mnist."


def test_where_there_is_nothing_it_says_so():
    assert str(unknown("run", "a", [])) == "no run is called 'a'. Known: none."


def test_of_many_names_the_nearest_are_listed():
    text = str(unknown("key", "train.epocs", [f"other.key{i}" for i in range(40)] + ["train.epochs", "train.epsilon"]))
    assert "did you mean train.epochs?" in text and "train.epsilon" in text
    assert text.split("The nearest: ")[1].count(",") == 5, "six of them"


def test_a_strange_name_stays_on_one_line():
    assert len(str(unknown("recipe", "a\nb\x1b[31m", ["mnist"])).splitlines()) == 1
