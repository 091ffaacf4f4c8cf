"""The layouts that a person's images may lie in, found by looking: which files are labelled, unlabelled and test."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ssgan.data import label_table
from ssgan.data.entries import TABLE, Entry, composed, counted, examples
from ssgan.errors import Mistake
from ssgan.files import shown

LABELLED = ("labelled", "labeled", "train", "training")
UNLABELLED = ("unlabelled", "unlabeled")
TRAINS = ("train", "training")
TEST = ("test", "testing")
VALIDATION = ("val", "valid", "validation")
DEEPEST = 8  # folders, each the only one in the other, that are gone down
CLASSES_SHOWN = 12
WANTED = ("Put images into labelled/<class>/ and unlabelled/, or train/<class>/ and test/<class>/, or <class>/, or "
          f"name their labels in {TABLE} (file,label).")

Labels = dict[Entry, str]  # in the order of the images; "" is none
Parts = dict[str, list[Entry]]  # files by the folder in some folder that they lie in or below; "" for those in it


@dataclass(frozen=True)
class Layout:
    """Which files are images of which part, in order, with labels as indices into the classes, -1 for none."""

    classes: tuple[str, ...]
    train: list[Entry]
    train_labels: list[int]
    test: list[Entry]
    test_labels: list[int]
    told: list[str]  # lines for the person


def find(entries: Sequence[Entry], read: Callable[[Entry], bytes], where: str) -> Layout:
    """The layout of a data set's files; `where` is its name in messages, `read` gives the content of one.

    The images of a part come in the order of their own names, whatever their folders, numbers in them by value; a
    table's in the order of its lines. Raises Mistake for no labelled image, for one class alone, and for test images
    of a class that no labelled image has.
    """
    images = [entry for entry in entries if not _is_table(entry)]
    if not images:
        raise Mistake(f"{where} holds no image.\n{WANTED}")
    root, told = _root(entries)
    table = next((entry for entry in entries if _is_table(entry) and entry.name[len(root):].lower() == TABLE), None)
    parts = _below(images, root)
    if table is not None:
        train, test, lines = _by_table(images, parts, table, read, root, where)
    else:
        train, test, lines = _by_folders(parts, root, where)
        train, test = _sorted(train), _sorted(test)
    unread = [entry.name for entry in entries if _is_table(entry) and entry != table]
    if unread:
        lines.append(f"not read, for it lies deeper: {examples(unread)}")
    classes = tuple(sorted(set(train.values()) - {""}, key=natural))
    _check(classes, train, test, lines[1:], where)
    number = {name: label for label, name in enumerate(classes)} | {"": -1}
    return Layout(tuple(map(shown, classes)), list(train), [number[label] for label in train.values()], list(test),
                  [number[label] for label in test.values()], [*told, *lines, _contents(classes, train, test)])


def natural(text: str) -> tuple:
    """A key for sorting in which numbers in a text count by value."""
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text))


def _by_table(images: list[Entry], parts: Parts, table: Entry, read: Callable[[Entry], bytes], root: str,
              where: str) -> tuple[Labels, Labels, list[str]]:
    """By labels.csv; images that it does not name are unlabelled, or test images where they lie in test/<class>/."""
    below = {entry.name[len(root):]: entry for entry in images}
    rows = label_table.read(read(table), f"{where}: {root}{TABLE}", below)
    named = {below[name]: row for name, row in rows.items()}
    train = {entry: row.label for entry, row in named.items() if not row.test}
    test = {entry: row.label for entry, row in named.items() if row.test}
    folder = _part(parts, TEST, where)
    if folder and not test and not any(entry in named for entry in parts[folder]):
        test = _sorted(_by_class(parts[folder], f"{root}{folder}/")[0])
    rest = sorted((entry for entry in images if entry not in named and entry not in test), key=_order)
    lines = [f"layout: {root}{TABLE}"]
    if rest:
        lines.append(f"{counted(len(rest), 'image')} that {TABLE} does not name, taken as unlabelled: "
                     f"{examples(entry.name for entry in rest)}")
    return train | dict.fromkeys(rest, ""), test, lines


def _by_folders(parts: Parts, root: str, where: str) -> tuple[Labels, Labels, list[str]]:
    """By the names of folders."""
    labelled, unlabelled, test = (_part(parts, names, where) for names in (LABELLED, UNLABELLED, TEST))

    def classes_in(part: str) -> set[str]:
        return set(_by_class(parts[part], f"{root}{part}/")[0].values())

    beside = {composed(name) for name in parts if name and name not in (labelled, unlabelled, test)}
    if labelled and labelled.lower() in TRAINS and beside and not unlabelled and not classes_in(labelled):
        beside, labelled = beside | {labelled}, None  # a class of that name
    flat = test if test and not classes_in(test) else None
    validation = _part(parts, VALIDATION, where) if flat or not test else None
    found = classes_in(validation) if validation else set()
    instead = validation if found and (labelled or found <= beside - {validation}) else None
    test = instead if flat or not test else test
    used = {name for name in (labelled, unlabelled, test) if name}
    if labelled:
        train, loose = _by_class(parts[labelled], f"{root}{labelled}/")
        left_out = [entry.name for name, files in parts.items() if name not in used for entry in files]
    else:
        train, loose = _by_class([entry for name, files in parts.items() if name not in used for entry in files], root)
        left_out = []
    if unlabelled:
        train |= dict.fromkeys(parts[unlabelled], "")
    names = [f"{labelled}/<class>/" if labelled else "<class>/", *([f"{unlabelled}/"] if unlabelled else []),
             *([f"{test}/<class>/"] if test else [])]
    lines = [f"layout: {root}{', '.join(names)}"]
    if instead:
        lines.append(f"there is no test/ with classes: {instead}/ is taken as the test part")
    if flat and not labelled:
        lines.append(f"{flat}/ has no folders of classes: it is taken as a class of that name")
    if loose:
        lines.append(f"{counted(len(loose), 'image')} in no folder of a class, taken as unlabelled: "
                     f"{examples(entry.name for entry in loose)}")
    if left_out:
        lines.append(f"{counted(len(left_out), 'image')} in no part of this layout, left out: {examples(left_out)}")
    tested, untested = _by_class(parts[test], f"{root}{test}/") if test else ({}, [])
    if untested:
        lines.append(f"{counted(len(untested), 'test image')} in no folder of a class, left out: "
                     f"{examples(entry.name for entry in untested)}")
    return train | dict.fromkeys(loose, ""), tested, lines


def _root(entries: Sequence[Entry]) -> tuple[str, list[str]]:
    """The folder in which the layout begins, "" or with a / at its end, and a line where it is not the outermost."""
    root = ""
    for _ in range(DEEPEST):
        parts = _below(entries, root)
        name = next(iter(parts))
        if len(parts) > 1 or not name or name.lower() in (*LABELLED, *UNLABELLED, *TEST):
            break
        inside = _below(entries, f"{root}{name}/")
        if set(inside) == {""} and not any(_is_table(entry) for entry in inside[""]):
            break  # a class
        root += f"{name}/"
    return root, [f"everything lies deeper, in {shown(root)}: read from there"] if root else []


def _below(entries: Sequence[Entry], root: str) -> Parts:
    """The files below a folder by their next folder."""
    parts: Parts = {}
    for entry in entries:
        if entry.name.startswith(root):
            first, slash, _ = entry.name[len(root):].partition("/")
            parts.setdefault(first if slash else "", []).append(entry)
    return parts


def _part(parts: Parts, names: tuple[str, ...], where: str) -> str | None:
    """The folder that has one of these names. Raises Mistake for several."""
    found = [name for name in parts if name.lower() in names]
    if len(found) > 1:
        raise Mistake(f"{where} has {found[0]}/ and {found[1]}/, which mean the same: leave one of them.")
    return found[0] if found else None


def _by_class(entries: Sequence[Entry], root: str) -> tuple[Labels, list[Entry]]:
    """The files below a folder with the names of its folders as labels, and those that lie in it itself."""
    parts = _below(entries, root)
    loose = parts.pop("", [])
    return {entry: composed(name) for name, files in parts.items() for entry in files}, loose


def _check(classes: tuple[str, ...], train: Labels, test: Labels, lines: Sequence[str], where: str) -> None:
    """Raises Mistake for what nothing can be learned from."""
    if not classes:
        told = "".join(f"{line}\n" for line in lines)
        raise Mistake(f"{where} holds {counted(len(train), 'image')}, and none of them is labelled.\n{told}{WANTED}")
    if len(classes) == 1:
        raise Mistake(f"{where} has labelled images of one class alone, {shown(classes[0])}: a classifier needs two "
                      f"at least.\n{WANTED}")
    strange = Counter(label for label in test.values() if label not in classes)
    if strange:
        several = len(strange) > 1
        told = ", ".join(f"{shown(name)} ({counted(number, 'image')})" for name, number in strange.items())
        raise Mistake(f"the test part of {where} has {'classes' if several else 'a class'} that no labelled image has: "
                      f"{told}.\nGive labelled images of {'them' if several else 'it'}, or take the images out of the "
                      f"test part.")


def _contents(classes: tuple[str, ...], train: Labels, test: Labels) -> str:
    """Classes and numbers of images in a line."""
    of = Counter(train.values())
    order = classes if len(classes) <= CLASSES_SHOWN else sorted(classes, key=of.__getitem__, reverse=True)
    told = [f"{shown(name)} {of[name]:,}" for name in order]
    if len(told) > CLASSES_SHOWN:
        told = [*told[: CLASSES_SHOWN - 1], f"..., {told[-1]}"]
    return (f"{len(classes)} classes: {', '.join(told)}; {of['']:,} unlabelled; "
            f"{f'{len(test):,} test images' if test else 'no test part'}")


def _sorted(labels: Mapping[Entry, str]) -> Labels:
    return {entry: labels[entry] for entry in sorted(labels, key=_order)}


def _order(entry: Entry) -> tuple:
    return natural(entry.name.rpartition("/")[2]), entry.name


def _is_table(entry: Entry) -> bool:
    return entry.name.rpartition("/")[2].lower() == TABLE
