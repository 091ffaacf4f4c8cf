"""How classes do: the table by class, and where the balanced error stands beside the error."""

import pytest
from curves import result

from ssgan.experiments.report import as_plain, compare, markdown
from ssgan.experiments.report.by_class import MOST_CLASSES, class_table


def of_classes(**recalls: tuple[float | None, int]) -> dict[str, dict[str, float | None]]:
    """Classes by name, from a recall and a number of images."""
    return {name: {"recall": recall, "precision": None if recall == 0 else 0.5, "f1": recall, "n": n}
            for name, (recall, n) in recalls.items()}


def series(*results):
    only, = compare(results).series
    return only


def test_classes_have_the_mean_over_runs_of_the_largest_budget():
    found = series(result(20, 0, by_class=of_classes(cat=(0.1, 9), dog=(0.2, 9))),
                   result(50, 0, by_class=of_classes(cat=(0.9, 10), dog=(0.0, 30), eel=(None, 0))),
                   result(50, 1, by_class=of_classes(cat=(0.7, 10), dog=(0.5, 30), eel=(None, 0))))
    assert class_table(found) == [
        ["class, 50 labels", "images", "recall, %", "precision, %", "F1, %"], ["dog", "30", "25.0", "50.0", "25.0"],
        ["cat", "10", "80.0", "50.0", "80.0"], ["eel", "0", "–", "–", "–"]]


def test_of_many_classes_the_worst_are_shown():
    classes = of_classes(**{f"class {i}": (i / 100, 10) for i in range(MOST_CLASSES + 7)})
    table = class_table(series(result(by_class=classes)))
    assert len(table) == MOST_CLASSES + 2 and table[1][0] == "class 0" and table[-1][0] == "7 more, which are better"


def test_older_runs_tell_nothing_of_classes():
    assert class_table(series(result(50, 0), result(50, 1, by_class=of_classes(cat=(0.9, 10))))) == []


@pytest.mark.parametrize(("sizes", "shown"), [((10, 14), False), ((10, 16), True), ((10, 12, 0), False)])
def test_the_balanced_error_is_shown_where_classes_are_uneven(sizes, shown):
    classes = of_classes(**{f"class {i}": (0.5 if n else None, n) for i, n in enumerate(sizes)})
    compared = compare([result(50, 0, by_class=classes, balanced_error=0.123, baselines={"SVM": 0.2},
                               balanced_baselines={"SVM": 0.345})])
    assert ("20.00; balanced 34.50" in markdown(compared, "it")) is shown
    row, = as_plain(compared)["series"][0]["table"]
    assert row["baselines"]["SVM"]["mean"] == 0.2 and len(row["balanced_baselines"]) == shown
    assert ("balanced, %" in markdown(compared, "it")) is ("12.30" in markdown(compared, "it")) is shown
    assert ("the mean of the classes' errors" in markdown(compared, "it")) is shown


def test_errors_of_both_kinds_are_called_errors():
    kinds = [result(50, 0, error_from="cross-validation"), result(50, 1)]
    assert "cross-validated error, %" in markdown(compare(kinds[:1]), "it")
    assert "test error, %" in markdown(compare(kinds[1:]), "it")
    assert series(*kinds).error_name == "error"
