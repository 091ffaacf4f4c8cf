"""Markdown tables: straight columns, and cells that stay cells."""

import pytest

from ssgan.experiments.report.markdown_table import markdown_table


def test_columns_are_straight_but_for_the_last():
    assert markdown_table([["labels", "error", "every run"], [20, "7.86 ± 3.44", "1 2 3 4 5 6"], [1000, "", "1"]]) == (
        "| labels | error       | every run |\n"
        "|--------|-------------|-----------|\n"
        "| 20     | 7.86 ± 3.44 | 1 2 3 4 5 6 |\n"
        "| 1000   |             | 1         |")


def test_a_heading_alone_and_a_single_column():
    assert markdown_table([["a", "b"]]) == "| a | b |\n|---|---|"
    assert markdown_table([["a"], [1]]) == "| a |\n|---|\n| 1 |"


def test_a_bar_and_a_lines_end_in_a_cell_end_no_cell():
    assert markdown_table([["what"], ["a|b\nc"]]).splitlines()[2] == r"| a\|b c |"


def test_lines_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="zip"):
        markdown_table([["a", "b"], [1]])
