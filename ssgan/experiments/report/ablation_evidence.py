"""An ablation as rows of a recipe's evidence, from which `ssgan explain` tells what a technique has brought."""

import json

from ssgan.experiments.report.ablation import MEASURES, Ablation, AblationRow

DIGITS = {"error": 2, "inception_score": 3, "frechet_distance": 2, "ms_a_step": 3}  # error in points
KEYS = ("what", "off", "only", "labels", "split_seeds", *MEASURES, "machine", "command")


def ablation_evidence(found: Ablation, command: str, machine: str) -> str:
    """TOML to be put into a recipe's file: the changes of every row whose runs all came through, in the order of its
    seeds; a measure that a row does not have is left out.
    """
    rows = [row for row in found.rows if row.against is not None and not row.lost]
    return "\n".join(_row(found, row, command, machine) for row in rows)


def _row(found: Ablation, row: AblationRow, command: str, machine: str) -> str:
    values = {"what": row.name, "off": list(row.off), "only": list(row.only), "labels": found.labels,
              "split_seeds": [split for _, split in found.seeds]}
    for measure in MEASURES:
        ours, others = (each.columns(found.generator)[measure] for each in (row, found.row(row.against)))
        if None not in (*ours, *others) and found.difference(row, measure) is not None:
            scale = 100 if measure == "error" else 1
            values[measure] = [round(scale * (own - other), DIGITS[measure]) for own, other in zip(ours, others)]
    values |= {"machine": machine, "command": command}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join(["[[evidence.ablation]]", *lines]) + "\n"
