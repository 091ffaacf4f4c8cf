"""What a person reads at the end of a run: its errors, its scores, and what may be typed next."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ssgan.cli.output import as_json_line, percent, store_options
from ssgan.data import own_data

MOST_CLASSES = 5  # named in a line
COLLAPSED = 1.2  # an Inception Score near 1: the network says the same of every image


def show(folder, found: dict[str, Any], as_json: bool, budgets: Sequence[int] = ()) -> None:
    """The closing summary of a run; `budgets` are its own and larger ones that its data can give."""
    if as_json:
        as_json_line(found)
        return
    from ssgan.experiments.progress import duration

    total = sum(found["seconds"].values())
    click.echo(f"\n{found['name']}, {found['status'].lower()} in {duration(total)}\n")
    lines = (*_errors(folder, found), *_scores(found), *_rest(found, duration), *_next(folder, found, budgets))
    for name, text in lines:
        click.echo(f"  {name:16} {text}".rstrip())
    click.echo()


def _errors(folder, found: dict[str, Any]):
    if found["error_from"] == "none":
        yield "error", f"not known: {found['error_reason']}"
    if found["test_error"] is None:
        return
    yield from _error(found)
    yield from _not_estimated(found)
    rows = folder.facts.get("result", {}).get("baselines", [])
    for row in rows:
        balanced = found["balanced_baselines"][row["name"]] if found["uneven_classes"] else None
        told = "" if balanced is None else f"  balanced {percent(balanced)}"
        yield row["name"], f"{percent(row['error'])}{told}  {row['note'] or ''}"
    if rows:
        best = min(rows, key=lambda row: row["error"])
        gain = best["error"] - found["test_error"]
        yield "gain", f"{100 * gain:+.2f} points over {best['name']}, the best of these"


def _error(found: dict[str, Any]):
    """The error and its interval; where classes are uneven the mean over them too; and how the classes do."""
    low, high = found["test_error_interval"]
    wrong, interval = f"{found['test_wrong']} wrong of", f"95 % interval {100 * low:.2f} to {100 * high:.2f} %"
    if found["error_from"] == "test":
        yield "test error", (f"{percent(found['test_error'])}  {wrong} {found['test_total']:,}; {interval}, for the "
                             f"choice of test images only")
    else:
        folds = found["folds"]
        yield "estimated error", (f"{percent(found['test_error'])}  {wrong} {found['test_total']:,} labelled images, "
                                  f"each held out once; {interval}, for the choice of these images only")
        yield "", (f"there is no test part: cross-validation, {folds} models, each trained on {folds - 1}/{folds} of "
                   f"the labels; this one, on all, may be better")
    if found["uneven_classes"]:
        yield "balanced error", f"{percent(found['balanced_error'])}  mean of the classes' errors"
        yield "by class", _by_class(found["per_class"])


def _not_estimated(found: dict[str, Any]):
    """The classes of which no image was held out."""
    if found["not_estimated"]:
        names = ", ".join(f"{name} ({count})" for name, count in list(found["not_estimated"].items())[:MOST_CLASSES])
        more = len(found["not_estimated"]) - MOST_CLASSES
        yield "not estimated", (f"{names}{f' and {more} more' if more > 0 else ''}: fewer labels than the "
                                f"{found['folds']} folds, so none was held out, and the error is of the other classes")


def _by_class(classes: dict[str, dict[str, Any]]) -> str:
    """The share of right answers in the classes that have the lowest."""
    known = sorted((scores["recall"], name, scores["n"]) for name, scores in classes.items() if scores["n"])
    told = ", ".join(f"{name} {100 * recall:.1f} % of {n:,}" for recall, name, n in known[:MOST_CLASSES])
    return f"right are {told}" + (f"; better in {len(known) - MOST_CLASSES} more" if len(known) > MOST_CLASSES else "")


def _scores(found: dict[str, Any]):
    if found["waiting"]:
        yield "waiting", found["waiting"]
    yield from score_lines(found, f"real {_kind(found)}")


def score_lines(found: dict[str, Any], real: str):
    """The scores of generated images, each beside that of real ones, which are called so; none where there are none."""
    name, score = ("EfficientNet score", "efficientnet_score") if found.get("efficientnet_score") is not None else (
        "Inception Score", "inception_score")
    if found.get(score) is None:
        return
    network = found["score_network"]
    if found["score_network_error"] is not None:
        network += f", {100 * found['score_network_error']:.2f} % test error"
    yield name, f"{found[score]:.2f} ± {found[f'{score}_std']:.2f}  {_beside(found, score, real)}"
    yield "", f"{found['splits']} splits of {found['samples_per_split']:,} generated images; {network}"
    if found[score] < COLLAPSED < found[f"{score}_real"]:
        yield "mode collapse", ("the generated images are nearly all alike: try a lower learning rate, then minibatch "
                                "features (`ssgan explain minibatch`)")
    if found["generators"]:  # scored by a version that has these
        first, *others = found["generators"].items()
        real_ones = "real images" if _without_parts(found) else "real training images"
        yield "FID" if found.get("network") == "inception" else "Fréchet distance", (
            f"{distance(found['fid'])}  {real_ones} {distance(found['fid_real'])}; {_counts(found, real)}")
        if found.get("kid") is not None:
            yield from _features(found)
        if found["train_images"]:
            yield "generated only", _generated_only(found)
        for name, each in others:
            yield f"  {name}", _other(each)


def _beside(found: dict[str, Any], score: str, real: str) -> str:
    """The real images' score, and ours at their count where it is another."""
    text = f"{real} {found[f'{score}_real']:.2f}"
    if found["real_samples"] == found["samples"]:
        return text
    return f"{text} on {found['real_samples']:,}, generated ones {found[f'{score}_matched']:.2f} on as many"


def _counts(found: dict[str, Any], real: str) -> str:
    """Of the images whose Fréchet distance is told, which grows as they become fewer."""
    text, others = f"of {found['samples']:,}", found["frechet_samples_real"]
    if _without_parts(found):
        return (f"{text} to {found['test_images']:,}, and of {others:,} real ones to the other "
                f"{found['test_images_real']:,}, in the features of that network")
    if others != found["samples"]:
        text += f", and of {others:,} real ones,"
    return f"{text} to {found['test_images']:,} {real.removeprefix('real ')}, in the features of that network"


def _without_parts(found: dict[str, Any]) -> bool:
    """Whether some of the real images had to be held against the rest, for want of training images."""
    return found.get("test_images_real", found["test_images"]) != found["test_images"]


def _features(found: dict[str, Any]):
    """What else the features tell, of equally many generated and real images."""
    count = found["score_settings"]["feature_images"]
    others = found["score_settings"].get("feature_images_real", count)
    real = "" if others == count else f", the real ones' of {others:,}"
    name = "KID" if found["network"] == "inception" else "kernel distance"
    yield name, f"{found['kid']:.4f}  real {found['kid_real']:.4f}; of {count:,} of each{real}"
    yield "precision/recall", (f"{found['precision']:.3f}, {found['recall']:.3f}  real {found['precision_real']:.3f}, "
                               f"{found['recall_real']:.3f}; of as many")


def _kind(found: dict[str, Any]) -> str:
    """What stands for real images; of a run without a test part it is a half of what it was trained on."""
    return "training images" if found["error_from"] in ("cross-validation", "none") else "test images"


def _generated_only(found: dict[str, Any]) -> str:
    """The test error of what was trained on generated images alone, beside that of real ones."""
    errors, real = found["generated_only_errors"], found["generated_only_error_real"]
    if errors is None:
        return "none: the generator is told no class (pictures.steps = 0, conditional.weight = 0)"
    text = f"{percent(found['generated_only_error']).strip()} test error of a small network trained on "
    text += f"{found['train_images']:,} of these images alone"
    text += f" ({min(errors) * 100:.2f} to {max(errors) * 100:.2f} in {len(errors)})" if len(errors) > 1 else ""
    return text if real is None else f"{text}; on real ones {percent(real).strip()}"


def _other(score: dict[str, Any]) -> str:
    """Another generator of the run, in a line."""
    name, key = ("EfficientNet score", "efficientnet_score") if "efficientnet_score" in score else (
        "Inception Score", "inception_score")
    parts = [f"{name} {score[key]:.2f}",
             f"Fréchet distance {distance(score['fid'])}"]
    if score["generated_only_error"] is not None:
        parts.append(f"generated only {percent(score['generated_only_error']).strip()}")
    return ", ".join(parts)


def distance(value: float) -> str:
    """A Fréchet distance to three digits."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _rest(found: dict[str, Any], duration):
    yield "time", ", ".join(f"{name} {duration(seconds)}" for name, seconds in found["seconds"].items())
    folder = Path(found["folder"])
    inside = folder.is_relative_to(Path.cwd())
    yield "files", str(folder.relative_to(Path.cwd()) if inside else folder)
    yield "run", found["run_id"]


def _next(folder, found: dict[str, Any], budgets: Sequence[int]):
    """What a person may type next, each as it can be typed here."""
    if "score" not in found["seconds"]:
        return
    from ssgan.recipes import names

    short, dataset, recipe = found["run_id"][:8], found["dataset"], folder.facts.get("recipe_name")
    file = shlex.quote(f"{own_data.short(dataset)}.onnx")
    lines = [f"ssgan sample {short} -n 100    a picture of generated images",
             f"ssgan export {short} -o {file}    the classifier, for use without ssgan"]
    if folder.facts["tracking_uri"] != "none":
        lines.insert(0, f"{f'ssgan ui{store_options(folder)}':26}    all runs, in MLflow")
    if recipe in names() and len(budgets) > 1:
        own = "" if recipe == dataset else f" --recipe {recipe}"
        lines.append(f"ssgan sweep --dataset {shlex.quote(dataset)}{own} --labels {','.join(map(str, budgets))} "
                     f"--seeds 3    what more labels would bring")
    yield from zip(["next"] + [""] * len(lines), lines)
