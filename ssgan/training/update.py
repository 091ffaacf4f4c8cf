"""`update`: one step of training as a function of trees of tensors, in place on the state."""

import functools
from typing import Any

import torch
from torch import Tensor

from ssgan.models.context import Context
from ssgan.techniques.technique import DISCRIMINATOR, GENERATOR
from ssgan.training import optimisers
from ssgan.training.gan import Gan, Program
from ssgan.training.lanes import SETTLED, over_lanes
from ssgan.training.passes import lane_loss
from ssgan.training.profiled import part

Tree = dict[str, Any]


def update(gan: Gan, state: Tree, draws: Tree, numbers: Tree, program: Program | None = None) -> None:
    """The updates of a program's players (None: the first step's) in their order, each against the newest others; then
    what was measured is noted.

    A program of tensors alone: nothing is drawn, nothing is read back, nothing depends on Python's numbers. So it can
    be done as it stands, traced for a compiler, or captured as a graph. `draws` are by player and update, `numbers` all
    that changes with the step, 0-dim.
    """
    program = gan.program(0) if program is None else program
    tensors = {name: player.layout.tensors(state["players"][name]["copy"], state["players"][name]["buffers"])
               for name, player in gan.players.items() if name in gan.trained}
    measured: dict[str, Tensor] = {}
    for name in program.players:
        for drawn, number in zip(draws[name], numbers["players"][name], strict=True):
            measured |= _update_player(gan, name, state, tensors, drawn, number, numbers["techniques"],
                                       program.resting)
    _note(gan, state, measured, numbers["step"])


def _update_player(gan: Gan, name: str, state: Tree, tensors: Tree, drawn: Tree, number: Tree, technique_numbers: Tree,
                   resting: frozenset[str]) -> dict[str, Tensor]:
    """One update of one player: what it measured [r]."""
    layout, its, mine = gan.players[name].layout, gan.players[name].optimiser, state["players"][name]
    if layout.advancing:
        new = layout.advanced(mine["weights"], mine["buffers"], 1)
        for key, value in mine["buffers"].items():
            value.copy_(new[key])
        tensors[name] = layout.tensors(mine["copy"], mine["buffers"])
    given = {"images": _generated(gan, name, tensors, drawn), "teacher": _taught(gan, name, state, drawn)}
    leaves = layout.leaves(mine["copy"])
    with part(f"{name} pass"):
        # Backward passes written by hand gain in one lane, and on a GPU in several (40 lanes of the paper's pair on an
        # H100: 6.3 ms a step against 7.7, 2026-11-26); on a CPU plain operations are faster in several.
        by_hand = len(mine["weights"]) == 1 or mine["weights"].device.type != "cpu"
        loss_of = functools.partial(lane_loss, gan, name, resting, by_hand, technique_numbers)
        beside = {other: tensors[other] for other in gan.beside[name]} | _averaged_opponent(gan, name, state)
        weights = tensors[name] | leaves
        losses, measured, states = over_lanes(loss_of, weights, beside, drawn, given, state["techniques"])
    with part("backward"):
        found = torch.autograd.grad(losses.sum(), tuple(leaves.values()), materialize_grads=True)
        gradient = layout.gather(found, mine["weights"], joined=gan.compiled)
    for key, technique in gan.techniques.items():
        kept = state["techniques"][key]
        gradient, new = technique.gradient(name, gradient, mine["weights"], kept, technique_numbers[key])
        states[key] = states.get(key, {}) | new
    if its.clip:
        gradient = optimisers.clipped(gradient, its.clip)
    made = _made(gan, name, state["techniques"], states)
    before = [value.clone() for value in _moved(mine)] if made is not None else []
    with part("adam"):
        optimisers.adam(its, mine["weights"], mine["adam"], gradient, number, plain=gan.compiled)
    with part("averaging"):
        mine["average"].lerp_(mine["weights"], number["share"])
    for value, was in zip(_moved(mine), before):
        value.copy_(torch.where(made[:, None], value, was))
    with part("cast"):
        mine["copy"].copy_(mine["weights"])
    for key, new in states.items():
        for entry, value in new.items():
            state["techniques"][key][entry].copy_(value)
    return measured


def _made(gan: Gan, player: str, kept: Tree, states: Tree) -> Tensor | None:
    """Which lanes' update of a player is made [r], by techniques' states before it and new ones; None: all."""
    asked = [technique.made(player, kept[key] | states.get(key, {})) for key, technique in gan.techniques.items()]
    found = [each for each in asked if each is not None]
    return functools.reduce(torch.logical_and, found) if found else None


def _moved(mine: Tree) -> tuple[Tensor, ...]:
    """Of a player's state what an update moves lane by lane [r, p]; Adam's count of updates is of all lanes."""
    return mine["weights"], mine["average"], mine["adam"]["exp_avg"], mine["adam"]["exp_avg_sq"]


def _averaged_opponent(gan: Gan, player: str, state: Tree) -> dict[str, dict[str, Tensor]]:
    """The averaged discriminators' tensors, where the generator learns against them."""
    if player != GENERATOR or gan.config.generator_against == "last":
        return {}
    with torch.no_grad(), part("averaged discriminator"):
        return {DISCRIMINATOR: _averaged(gan, state, gan.compute)}


def _generated(gan: Gan, player: str, tensors: Tree, drawn: Tree) -> dict[str, Tensor]:
    """The generated images that an update of another player than the generator looks at [r, n, c, h, w], without
    gradient.
    """
    if player == GENERATOR or "generated" not in gan.parts[player]:
        return {}
    with torch.no_grad(), part("generated images"):
        call = gan.players[GENERATOR].layout.call
        return {"generated": over_lanes(call, tensors[GENERATOR], drawn["latent"], drawn["context"])}


def _taught(gan: Gan, player: str, state: Tree, drawn: Tree) -> dict[str, Tensor]:
    """The averaged discriminators' logits of the parts for which they are asked [r, n, k]."""
    if player != DISCRIMINATOR or not gan.teacher:
        return {}
    with part("teacher"):
        return {name: averaged_logits(gan, state, drawn["plain"][name]).to(gan.master) for name in gan.teacher}


@torch.no_grad()
def averaged_logits(gan: Gan, state: Tree, x: Tensor) -> Tensor:
    """The averaged discriminators' logits of images [r, n, c, h, w], noise off: [r, n, k]."""
    layout = gan.players[DISCRIMINATOR].layout
    return over_lanes(lambda t, x: layout.call(t, x, Context())[0], _averaged(gan, state, x.dtype), x)


def _averaged(gan: Gan, state: Tree, dtype: torch.dtype) -> dict[str, Tensor]:
    """The averaged discriminators' tensors [r, ...] in that type."""
    layout, mine = gan.players[DISCRIMINATOR].layout, state["players"][DISCRIMINATOR]
    buffers = layout.advanced(mine["average"], mine["buffers"], SETTLED)
    return layout.tensors(mine["average"].to(dtype), buffers)


def _note(gan: Gan, state: Tree, measured: dict[str, Tensor], step: Tensor) -> None:
    """Adds what was measured, and notes the first value of each lane that is not finite."""
    none = torch.zeros_like(next(iter(measured.values())))  # of players that are not updated in this step
    values = torch.stack([measured.get(name, none).to(gan.master) for name in gan.measured], 1)  # [r, m]
    state["sums"] += values
    seen = state["first_bad"][:, :-1]
    seen.copy_(torch.where((seen < 0) & ~values.isfinite(), step, seen))
