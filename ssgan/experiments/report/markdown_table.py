"""A Markdown table, which reads well as plain text too."""

from collections.abc import Sequence


def markdown_table(cells: Sequence[Sequence[object]]) -> str:
    """The table of a heading and its lines, all of as many cells; without a line's end at its own end.

    Columns are as wide as their widest cell, but for the last, behind which nothing stands. A bar or a line's end
    within a cell ends no cell.
    """
    texts = [[" ".join(str(cell).replace("|", r"\|").splitlines()) for cell in line] for line in cells]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    widths[-1] = len(texts[0][-1])
    straight = [[cell.ljust(width) for cell, width in zip(line, widths)] for line in texts]
    heading, *lines = [f"| {' | '.join(line)} |" for line in straight]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([heading, rule, *lines])
