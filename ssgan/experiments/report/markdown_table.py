"""A Markdown table, which reads well as plain text too."""

from collections.abc import Sequence


def markdown_table(cells: Sequence[Sequence[object]]) -> str:
    """The table of a heading and its lines, all of as many cells; without a line end at its end.

    Columns are as wide as their widest cell, but for the last, which nothing stands behind. A bar or a line's end in a cell ends no cell.
    """
    texts = [[" ".join(str(cell).replace("|", r"\|").splitlines()) for cell in line] for line in cells]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    widths[-1] = len(texts[0][-1])
    heading, *lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in texts]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([heading, rule, *lines])
