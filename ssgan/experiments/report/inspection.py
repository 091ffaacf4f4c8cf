"""What is in a person's own images, as text, as plain values and as one HTML page."""

from collections import Counter
from typing import Any, NamedTuple

from ssgan.data.own_data import OwnImages, Reading
from ssgan.experiments.report.html import environment
from ssgan.experiments.run_cost import Cost
from ssgan.files import shown

MOST_BROKEN = 20  # files that a person is shown


class Inspection(NamedTuple):
    """A folder or an archive that has been looked through, and what a run of it would cost, or why there is none."""

    own: OwnImages
    reading: Reading
    cost: Cost | None
    no_run: str


def text(found: Inspection) -> str:
    """For a terminal."""
    cells = table(found)
    widths = [max(len(str(line[column])) for line in cells) for column in range(3)]
    rows = ["  ".join(f"{cell!s:{width}}" if not column else f"{cell!s:>{width}}"
                      for column, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in cells]
    broken = [f"  {name}: {reason}" for name, reason in broken_files(found)[:MOST_BROKEN]]
    more = len(broken_files(found)) - len(broken)
    if broken:
        broken = ["cannot be decoded:", *broken, *([f"  and {more:,} more"] if more else []), ""]
    return "\n".join([*found.own.lines(found.reading), "", *rows, "", *broken, cost_text(found)])


def plain(found: Inspection) -> dict[str, Any]:
    """As plain values for JSON."""
    own, seen = found.own, found.own.decoded.seen
    names = own.names
    kept = own.decoded.kept.tolist()
    pairs = {kind: [[names[kept[number]] for number in pair] for pair in of.tolist()]
             for kind, of in (("equal", own.decoded.doubles.equal), ("near", own.decoded.doubles.near))}
    return {
        "path": str(own.path), "told": own.lines(found.reading),
        "classes": {str(name): {"labelled": labelled, "test": test} for name, labelled, test in counts(found)},
        "unlabelled": own.layout.train_labels.count(-1), "shape": list(own.decoded.pixels.shape[1:]),
        "sizes": [{"width": width, "height": height, "images": number}
                  for (width, height), number in sorted(seen.sizes.items())],
        "modes": dict(seen.modes), "conversions": dict(seen.notes), "left_out": [*own.files.litter, *own.files.others],
        "broken": [{"file": names[number], "reason": reason} for number, reason in own.broken().items()],
        "doubles": pairs, "cost": found.cost and found.cost.plain(), "no_run": found.no_run or None}


def page(found: Inspection, sheet: bytes) -> str:
    """One page that needs nothing beside it; `sheet` is a PNG. Names of files are escaped."""
    template = environment().get_template("inspection.html.j2")
    broken = broken_files(found)
    return template.render(title=shown(found.own.path.name), told=found.own.lines(found.reading), cells=table(found),
                           cost=cost_text(found), sheet=sheet, broken=broken[:1000], sizes=sizes(found)) + "\n"


def table(found: Inspection) -> list[list[str]]:
    """Classes with their images, and the unlabelled ones, under a line of headings."""
    rows = [[shown(name), f"{labelled:,}", f"{test:,}"] for name, labelled, test in counts(found)]
    return [["class", "labelled", "test"], *rows, ["unlabelled", f"{found.own.layout.train_labels.count(-1):,}", ""]]


def counts(found: Inspection) -> list[tuple[str, int, int]]:
    """Each class with its labelled and its test images, those that cannot be decoded among them."""
    layout = found.own.layout
    train, test = Counter(layout.train_labels), Counter(layout.test_labels)
    return [(name, train[label], test[label]) for label, name in enumerate(layout.classes)]


def sizes(found: Inspection) -> list[tuple[str, int]]:
    """The most frequent sizes with their numbers of images."""
    return [(f"{width}x{height}", number) for (width, height), number in found.own.decoded.seen.sizes.most_common(12)]


def broken_files(found: Inspection) -> list[tuple[str, str]]:
    """The names of files that cannot be decoded, with the reasons."""
    names = found.own.names
    return [(shown(names[number]), reason) for number, reason in found.own.broken().items()]


def cost_text(found: Inspection) -> str:
    """What a run would cost, or why there is none, in a line or two."""
    if not found.cost:
        return f"no run yet: {found.no_run}"
    lost = [number for number in found.own.broken() if found.own.labels[number] >= 0]
    return found.cost.text() + (", with --skip-broken: without it a run stops at labelled images that cannot be decoded"
                                if lost else "")
