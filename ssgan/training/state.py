"""The state of training: one tree of tensors, lanes in front, in which an update changes everything in place. A
checkpoint is this tree.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ssgan.techniques.technique import Pool
from ssgan.training.gan import Gan
from ssgan.training.lanes import tree_map, tree_zip
from ssgan.training.optimisers import moments

State = dict[str, Any]


def first_state(gan: Gan, weights: dict[str, Tensor], buffers: dict[str, dict[str, Tensor]]) -> State:
    """Before the first step, from every player's weights [r, p] and buffers.

    A player has its weights in full precision, their average, their copy in the type of the products, Adam's moments,
    and buffers; then what techniques keep, the sums of what was measured [r, m], and the first step at which each was
    not finite, or the weights were [r, m + 1].
    """
    like = next(iter(weights.values()))
    lanes, device, names = len(like), like.device, gan.measured
    return {
        "players": {name: _player(gan, name, flat, buffers[name]) for name, flat in weights.items()},
        "techniques": {name: tree_map(lambda x: _kept(x, gan.master).to(device).expand(lanes, *x.shape).clone(),
                                      technique.state(gan.size))
                       for name, technique in gan.techniques.items()},
        "sums": torch.zeros(lanes, len(names), dtype=gan.master, device=device),
        "first_bad": torch.full((lanes, len(names) + 1), -1, dtype=torch.int64, device=device)}


def _kept(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Numbers that are no whole ones in the type of the weights."""
    return x.to(dtype) if x.is_floating_point() else x


def _player(gan: Gan, name: str, flat: Tensor, buffers: dict[str, Tensor]) -> State:
    average = flat.clone() if gan.players[name].optimiser.averaging == "corrected" else torch.zeros_like(flat)
    return {"weights": flat, "average": average, "copy": flat.to(gan.compute, copy=True), "adam": moments(flat),
            "buffers": buffers}


@torch.no_grad()
def host_phases(gan: Gan, state: State, done: int, pool_of: Callable[[int], Pool]) -> None:
    """What techniques do on the host before the step after so many, lane by lane, into their state's own memory.

    `pool_of` gives what a lane is trained on.
    """
    for name in gan.phases.get(done, ()):
        technique, kept = gan.techniques[name], state["techniques"][name]
        for lane in range(len(state["sums"])):
            of_lane = tree_map(lambda x: x[lane] if x.dim() else x, state)  # Adam's count of steps is of all lanes
            for key, value in technique.phase(gan.moment(done), of_lane, pool_of(lane)).items():
                assert value.shape == kept[key].shape[1:], f"{name}.{key} keeps its shape"
                kept[key][lane].copy_(value)


def put_back(state: State, saved: State) -> None:
    """Copies a saved state into this one, in place."""
    tree_zip(lambda target, value: target.copy_(value), state, _only(state, upgraded(saved)))


def keep_lanes(state: State, good: State, lanes: list[int]) -> State:
    """The state, on the CPU, with these lanes of its players and techniques as an older one has them."""
    def kept(new: Tensor, old: Tensor) -> Tensor:
        new = new.cpu().clone()
        if new.dim():  # all but Adam's count of steps
            new[lanes] = old[lanes].to(new.dtype)
        return new

    good = upgraded(good)
    return state | {key: tree_zip(kept, state[key], _only(state[key], good[key])) for key in ("players", "techniques")}


def upgraded(saved: State) -> State:
    """A checkpoint of before the tree (schema 1: lists of two, first the discriminator) as today's; others as they are.
    """
    if "players" in saved:
        return saved
    buffers = (saved["fixed"], {})
    players = {name: {"weights": flat, "average": average, "copy": flat, "adam": adam, "buffers": its}
               for name, flat, average, adam, its in zip(("discriminator", "generator"), saved["flat"],
                                                         saved["averages"], saved["adam"], buffers)}
    return {"players": players, "techniques": {},
            **{key: saved[key] for key in ("sums", "first_bad", "done", "seconds")}}


def _only(like: Any, tree: Any) -> Any:
    """The parts of a tree that another has: a saved one has plain numbers besides, and may lack empty dicts."""
    return {key: _only(value, tree.get(key, {})) for key, value in like.items()} if isinstance(like, dict) else tree
