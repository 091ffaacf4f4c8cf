"""The loss of one lane's update of a player: the passes that its terms look at, each made once, and the terms' sum."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ssgan.models.context import Context
from ssgan.models.functional import widened
from ssgan.models.scales import alike
from ssgan.techniques.technique import DISCRIMINATOR, GENERATOR, Output, View
from ssgan.training.gan import Gan
from ssgan.training.lanes import tree_map

Tensors = dict[str, Tensor]
Result = tuple[Tensor, Tensors, dict[str, Tensors]]  # a loss, what was measured, and techniques' new states


class Networks(Mapping):
    """The players' modules on one lane's tensors, each put together when it is first asked for; `by_hand` is the one
    whose backward pass is.
    """

    def __init__(self, gan: Gan, by_hand: str | None, tensors: dict[str, Tensors], entered: contextlib.ExitStack):
        self.gan, self.by_hand, self.tensors, self.entered = gan, by_hand, tensors, entered
        self.modules: dict[str, nn.Module] = {}

    def __getitem__(self, name: str) -> nn.Module:
        if name not in self.modules:
            layout = self.gan.players[name].layout
            self.modules[name] = self.entered.enter_context(layout.of(self.tensors[name], by_hand=name == self.by_hand))
        return self.modules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


def lane_loss(gan: Gan, player: str, resting: frozenset[str], by_hand: bool, numbers: dict[str, Tensors],
              weights: Tensors, beside: dict[str, Tensors], draws: dict[str, Any], given: dict[str, Any],
              states: dict[str, Tensors]) -> Result:
    """The player's loss, what it measured, and what takes the place of the techniques' states.

    `resting` are techniques whose terms are left out, which measure 0 then: where they are not, they count for the
    steps between. `weights` are the player's own tensors, `beside` those of the others that it may look at, `given`
    what was made before: the generated images, and the teacher's logits.
    """
    terms = {name: each for name, each in gan.terms[player].items() if name not in resting}
    with contextlib.ExitStack() as entered:
        networks = Networks(gan, player if by_hand else None, {player: weights, **beside}, entered)
        images = dict(draws["images"]) | given["images"]
        labels = dict(draws["labels"]) | {"generated": draws["context"].labels}
        if player == GENERATOR:
            images["generated"] = networks[GENERATOR](draws["latent"], draws["context"])

        targets: Tensors = {}

        def view_of(name: str, out: dict[str, Output]) -> View:
            return View(images, labels, out, given["teacher"], networks, draws["techniques"].get(name, {}),
                        states.get(name, {}), numbers[name], draws["shares"], targets, draws["latent"],
                        draws["context"], draws["index"])

        for name, technique in terms.items():
            images |= technique.images(player, view_of(name, {}))
        if player == DISCRIMINATOR:
            for name, technique in terms.items():
                targets |= technique.targets(view_of(name, {}))
        out = {}
        if player in gan.passes:
            passes = gan.passes[player]
            logits = any(technique.logits for technique in terms.values())
            hidden = sorted({layer for technique in terms.values() for layer in technique.hidden()})
            made = {part for part in gan.parts[player] if player == DISCRIMINATOR or part == "generated"}
            out = outputs(networks[DISCRIMINATOR], passes, images, draws["noise"], made, logits, hidden)
        loss, measured, states = _sum(player, terms, lambda name: view_of(name, out))
        idle = {key: torch.zeros_like(loss) for name in resting & gan.terms[player].keys()
                for key in gan.techniques[name].measures}
        measured |= {key: value.detach() for key, value in idle.items()}
        if player == DISCRIMINATOR:
            answers = out["labelled"].logits.argmax(1)
            measured["labelled_error"] = (answers != labels["labelled"]).to(loss.dtype).mean()
        else:
            measured[f"{player}_loss"] = loss.detach()
        return loss, measured, states


def _sum(player: str, terms: Mapping[str, Any], view_of: Callable[[str], View]) -> Result:
    loss, measured, states = None, {}, {}
    for name, technique in terms.items():
        if not technique.adds_term:
            continue
        view, period = view_of(name), technique.period()
        factor = technique.factor() * period
        term = technique.term(player, view)
        weighed = term.loss if factor == 1 else factor * term.loss
        loss = weighed if loss is None else loss + weighed
        measured |= {key: value.detach() if period == 1 else period * value.detach()
                     for key, value in term.measured.items()}
        if term.state:
            states[name] = {key: value.detach() for key, value in term.state.items()}
    return loss, measured, states


def outputs(discriminator: nn.Module, passes: dict[str, tuple[str, ...]], images: Mapping[str, Tensor],
            noise: dict[str, tuple[Tensor, ...]],
            made: set[str], logits: bool, hidden: Collection[int] = ()) -> dict[str, Output]:
    """What the discriminator says of every part, in these passes; with gradients where the player made one of a pass's
    parts, or is the discriminator. `hidden` are the layers whose activations are wanted.

    Where a part's images carry smaller scales of themselves (models/scales.py), all those of its pass do.
    """
    found: dict[str, Output] = {}
    for name, parts in passes.items():
        batches = [images[part] for part in parts]
        largest = max(batches, key=lambda batch: batch.shape[-2])
        x = batches[0] if len(batches) == 1 else torch.cat([alike(batch, largest) for batch in batches])
        counts = [len(batch) for batch in batches]
        # told to a network that compares both kinds, whose passes have the generated images last
        generated = counts[-1] if parts[-1] == "generated" else None
        with torch.no_grad() if made.isdisjoint(parts) else contextlib.nullcontext():
            said = _pass(discriminator, x, Context(noise[name], generated=generated), logits, hidden)
        split = tree_map(lambda each: _split(widened(each), counts), said)
        for i, part in enumerate(parts):
            found[part] = Output(split.logits and split.logits[i], split.features[i],
                                 {layer: each[i] for layer, each in split.hidden.items()})
    return found


def _pass(discriminator: nn.Module, x: Tensor, context: Context, logits: bool, hidden: Collection[int]) -> Output:
    inner: list[Tensor] = []
    further = (inner,) if hidden else ()
    said = discriminator(x, context, *further) if logits else (None, discriminator.features(x, context, *further))
    return Output(*said, {layer: inner[layer - 1] for layer in hidden})


def _split(x: Tensor, counts: list[int]) -> tuple[Tensor, ...]:
    return x.split(counts) if len(counts) > 1 else (x,)
