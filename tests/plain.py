"""The method once more, slow and plain: the truth that the fast step is tested against.

Normalised weights are materialised, labelled, unlabelled and generated images take a pass each, the losses go through
D = Z/(Z+1), Adam is a loop over tensors, averages are weighted sums over a history. Nothing is imported from ssgan but
the recipe's type; every draw is an argument.
"""

import dataclasses
from dataclasses import dataclass, field

import plain_images
import plain_judgement
import torch
from plain_halving import like
from plain_networks import Noise, Weights, advanced, discriminator, generator, pair
from plain_optimisers import Adam, average
from torch import Tensor

from ssgan.config import Recipe


@dataclass
class Draws:
    """Everything random in an update of one model's discriminator and one of its generator; None where no loss needs
    it.
    """

    labelled: Tensor  # [n, c, h, w] as all images
    labels: Tensor  # [n]
    unlabelled: Tensor | None
    unlabelled_plain: Tensor | None  # the same images as they are without augmentation
    for_generator: Tensor | None
    latent_discriminator: Tensor | None  # [n, z]
    latent_generator: Tensor | None
    noise_labelled: Noise
    noise_unlabelled: Noise
    noise_generated: Noise
    noise_generator_real: Noise
    noise_generator_generated: Noise
    directions: Tensor | None  # [m, c, h, w] where adversarial changes are sought from
    classes_discriminator: Tensor | None = None  # [n] of the generated images, where a generator is told them
    classes_generator: Tensor | None = None
    # [m, 1, 1, 1] of the unlabelled image in each that lies between it and a generated one
    shares: Tensor | None = None
    # what techniques drew besides, by technique and name: for the discriminator's update, and the generator's
    further: tuple[dict, dict] = field(default_factory=lambda: ({}, {}))
    noise_of_generator: tuple[Noise, Noise] = ((), ())  # in the same two updates


def is_real(logits: Tensor) -> Tensor:
    """D = Z/(Z+1), Z = sum exp(logits): [n, k] -> [n]."""
    z = torch.exp(logits).sum(1)
    return z / (z + 1)


def taught(recipe: Recipe, logits: Tensor, targets: Tensor, confident: Tensor) -> Tensor:
    """Cross entropy with the taught answers, summed over the confident ones and divided by all."""
    total = torch.zeros((), dtype=logits.dtype)
    for row, target, counts in zip(logits, targets, confident):
        if counts:
            total = total - torch.log(torch.exp(row[target]) / torch.exp(row).sum())
    return total / len(logits)


class Plain:
    """One model in training: a step by the book, with losses and gradients kept to look at."""

    def __init__(self, recipe: Recipe, discriminator_weights: Weights, generator_weights: Weights, steps: int,
                 shares: list[float] | None = None):
        self.recipe, self.steps, self.done = recipe, steps, 0
        self.shares = shares  # of the classes; None: all the same
        self.weights = [dict(discriminator_weights), dict(generator_weights)]
        self.first = [dict(weights) for weights in self.weights]
        self.trained = [[name for name in weights
                         if not (name.endswith(".scale") and name.startswith("hidden.") and network == 0
                                 or name.endswith(".u") or name in ("reference", "whitening"))]
                        for network, weights in enumerate(self.weights)]  # the initialisation fixes hidden scales
        self.adams = [Adam(recipe), Adam(recipe)]
        self.history: list[list[Weights]] = [[], []]
        self.losses: dict[str, float] = {}
        self.gradients: list[Weights] = [{}, {}]
        self.past: list[list[Weights]] = [[], []]  # the weights before every update
        self.shape: tuple[int, ...] = ()  # of an image
        self.resting = [False, False]  # whether each network's update is left out

    def step(self, draws: list[Draws]) -> None:
        """The updates of the discriminator, then those of the generator: as many as the recipe has, each with draws of
        its own.
        """
        self.losses, self.shape = {}, draws[0].labelled.shape[1:]
        for drawn in draws[:self.recipe.train.discriminator_updates]:
            self._update(0, lambda weights: self._discriminator_loss(weights, drawn))
        for drawn in draws[:self.recipe.train.generator_updates] if self.recipe.gan.weight > 0 else []:
            self._update(1, lambda weights: self._generator_loss(weights, drawn))
        self.done += 1

    def averages(self, network: int) -> Weights:
        """The averaged weights; before the first update of the bias-corrected form, the weights themselves."""
        weights, history = self.weights[network], self.history[network]
        if not history:
            zero = self.recipe.train.averaging == "zero-start"
            return {name: torch.zeros_like(value) if zero and name in self.trained[network] else value
                    for name, value in weights.items()}
        return {name: average(self.recipe, history, name, self.first[network][name])
                if name in self.trained[network] else value for name, value in weights.items()}

    def _update(self, network: int, loss_of) -> None:
        self.weights[network] = advanced(self.weights[network], 1)
        weights = {name: value.clone().requires_grad_() for name, value in self.weights[network].items()}
        loss = loss_of(weights)
        names = self.trained[network]
        found = torch.autograd.grad(loss, [weights[name] for name in names], allow_unused=True)
        self.gradients[network] = {name: torch.zeros_like(weights[name]) if g is None else g
                                   for name, g in zip(names, found)}
        self.past[network].append(dict(self.weights[network]))
        for name, g in self.gradients[network].items():
            mean = sum(past[name] for past in self.past[network]) / len(self.past[network])
            away = self.weights[network][name] - mean
            self.gradients[network][name] = g + 2 * self.recipe.historical_averaging.weight * away
            for each in (self.recipe.l1, self.recipe.l2):
                if each.weight > 0 and each.of in ("all", ("discriminator", "generator")[network]):
                    leaf = self.weights[network][name].clone().requires_grad_()
                    size = leaf.abs().sum() if each is self.recipe.l1 else (leaf ** 2).sum()
                    self.gradients[network][name] += each.weight * torch.autograd.grad(size, leaf)[0]
        longest, length = self.recipe.train.clip, sum((g * g).sum() for g in self.gradients[network].values()) ** 0.5
        if 0 < longest < length:
            self.gradients[network] = {name: longest * g / length for name, g in self.gradients[network].items()}
        own = self.recipe.train.generator_learning_rate / self.recipe.train.learning_rate if network == 1 else 0
        if not self._rests(network):
            self.adams[network].step(self.weights[network], self.gradients[network], self._learning_rate() * (own or 1))
            self.history[network].append(dict(self.weights[network]))
        else:
            self.adams[network].t += 1
            self.history[network].append({})

    def _discriminator_loss(self, weights: Weights, draws: Draws) -> Tensor:
        draws = self._noisy(draws)
        logits, _ = discriminator(self.recipe, weights, draws.labelled, draws.noise_labelled)
        probabilities = torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True)
        loss = -torch.log(probabilities[range(len(logits)), draws.labels]).mean()
        self.losses["labelled_loss"] = loss.item()
        loss = self.recipe.train.labelled_weight * loss
        self.losses["labelled_error"] = (logits.argmax(1) != draws.labels).double().mean().item()
        if self.recipe.gan.weight > 0:
            with torch.no_grad():
                generated = generator(self.recipe, self.weights[1], draws.latent_discriminator, self.shape,
                                      draws.classes_discriminator, logits.shape[1], draws.noise_of_generator[0])
            generated = self._with_noise(generated, draws.further[0], "generated")
            (real, _), (fake, _) = pair(self.recipe, weights, draws.unlabelled, generated,
                                        (draws.noise_unlabelled, draws.noise_generated))
            self._compare(real, fake)
            wanted = plain_judgement.targets(self.recipe, draws.further[0], (len(real), len(fake)))
            part = plain_judgement.telling(self.recipe.gan.loss, real, fake, wanted)
            self.losses["unlabelled_loss"] = part.item()
            loss = loss + self.recipe.gan.weight * part
        if self.recipe.consistency.weight > 0:
            loss = loss + self.recipe.consistency.weight * self._consistency_loss(weights, draws)
        if self.recipe.class_balance.weight > 0:
            loss = loss + self.recipe.class_balance.weight * self._balance_loss(weights, draws)
        if self.recipe.entropy.weight > 0:
            loss = loss + self.recipe.entropy.weight * self._entropy_loss(weights, draws)
        if self.recipe.vat.weight > 0:
            loss = loss + self.recipe.vat.weight * self._vat_loss(weights, draws)
        if self.recipe.gradient_penalty.weight > 0:
            part = self._gradient_penalty(weights, draws, generated)
            loss = loss + self.recipe.gradient_penalty.weight * part
        if self.recipe.manifold.weight > 0:
            loss = loss + self.recipe.manifold.weight * self._manifold_loss(weights, draws, generated)
        return loss

    def _compare(self, real: Tensor, fake: Tensor) -> None:
        """Who is ahead, by the losses of the discriminator and of a generator that would pass for real."""
        settings = self.recipe.loss_ratio
        if settings.share > 0:
            loss = plain_judgement.telling("cross-entropy", real, fake, ([1.0] * len(real), [0.0] * len(fake))).item()
            other = plain_judgement.passing("non-saturating", fake, real).item()
            self.resting = [settings.of in ("both", name) and mine < settings.share * its for name, mine, its in (
                ("discriminator", loss, other), ("generator", other, loss))]
            for name, rests in zip(("discriminator", "generator"), self.resting):
                self.losses[f"{name}_updated"] = 1.0 - rests

    def _rests(self, network: int) -> bool:
        """Whether its update is left out."""
        return self.resting[network]

    def _manifold_loss(self, weights: Weights, draws: Draws, generated: Tensor) -> Tensor:
        """Image by image, along what the generator makes of changed latent vectors."""
        settings, total = self.recipe.manifold, 0.0
        with torch.no_grad():
            near = generator(self.recipe, self.weights[1],
                             draws.latent_discriminator + settings.step * draws.further[0]["manifold"]["change"],
                             self.shape, draws.classes_discriminator, len(weights["output.bias"]),
                             draws.noise_of_generator[0])
        for x, other in zip(generated, near):
            moved = x + settings.epsilon * (other - x) / ((other - x) ** 2).sum().sqrt()
            answers, others = (discriminator(self.recipe, weights, each[None], None)[0][0] for each in (x, moved))
            total = total + (answers - others).abs().sum() / len(generated)
        self.losses["manifold_loss"] = total.item()
        return total

    def _noisy(self, draws: Draws) -> Draws:
        """With noise on unlabelled images, and these changed."""
        return dataclasses.replace(
            draws, unlabelled=self._with_noise(draws.unlabelled, draws.further[0], "unlabelled"),
            for_generator=self._with_noise(draws.for_generator, draws.further[1], "unlabelled"))

    def _with_noise(self, images: Tensor | None, further: dict, part: str) -> Tensor | None:
        """That of the step, which falls to nothing by a line; then changed at random."""
        settings = self.recipe.instance_noise
        if images is not None and "instance_noise" in further:
            left = max(0.0, 1 - self.done / self.steps / settings.until)
            images = images + settings.std * left * like(further["instance_noise"][part], images)
        if images is not None and part in further.get("diff_augment", {}):
            images = plain_images.changed(self.recipe.diff_augment, images, further["diff_augment"][part])
        return images

    def _gradient_penalty(self, weights: Weights, draws: Draws, generated: Tensor) -> Tensor:
        """Image by image, with a graph of the gradient; in one step of so many, so many times."""
        settings = self.recipe.gradient_penalty
        self.losses["gradient_penalty_loss"] = self.losses["gradient_length"] = 0.0
        if self.done % settings.every:
            return torch.zeros((), dtype=generated.dtype)
        images = list(generated if settings.at == "generated" else draws.unlabelled)
        if settings.at == "between":
            images = [share * real + (1 - share) * fake
                      for share, real, fake in zip(draws.shares, like(draws.unlabelled, generated), generated)]
        total, lengths = torch.zeros((), dtype=generated.dtype), 0.0
        for image in images:
            x = image[None].detach().requires_grad_()
            z = torch.exp(discriminator(self.recipe, weights, x, None)[0]).sum()
            slope, = torch.autograd.grad(torch.log(z), x, create_graph=True)
            squared = (slope ** 2).sum()
            length = squared ** 0.5 if squared > 0 else squared  # not where every unit is silent
            if length > settings.target or not settings.one_sided:
                total = total + (length - settings.target) ** 2
            lengths += length.item()
        loss = settings.every * total / len(images)
        self.losses["gradient_penalty_loss"] = loss.item()
        self.losses["gradient_length"] = settings.every * lengths / len(images)
        return loss

    def _vat_loss(self, weights: Weights, draws: Draws) -> Tensor:
        """Image by image; the gradient that shows the direction is taken through weights that are held."""
        held = {name: value.detach() for name, value in weights.items()}
        total = torch.zeros((), dtype=draws.unlabelled.dtype)
        for x, direction in zip(draws.unlabelled, draws.directions):
            logits = discriminator(self.recipe, held, x[None], None)[0][0]
            before = torch.exp(logits) / torch.exp(logits).sum()

            def moved(weights, change):
                logits = discriminator(self.recipe, weights, (x + change)[None], None)[0][0]
                after = torch.exp(logits) / torch.exp(logits).sum()
                return (before * torch.log(before / after)).sum()

            change = (0.1 * direction / (direction ** 2).sum().sqrt()).requires_grad_()
            gradient, = torch.autograd.grad(moved(held, change), change)
            length = (gradient ** 2).sum().sqrt()
            if length > 0:  # not where every unit is silent
                total = total + moved(weights, self.recipe.vat.epsilon * gradient / length)
        loss = total / len(draws.directions)
        self.losses["vat_loss"] = loss.item()
        return loss

    def _balance_loss(self, weights: Weights, draws: Draws) -> Tensor:
        logits, _ = discriminator(self.recipe, weights, draws.unlabelled, draws.noise_unlabelled)
        mean = (torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True)).mean(0)
        shares = self.shares or [1 / len(mean)] * len(mean)
        if self.recipe.class_balance.divergence == "forward":
            loss = sum(share * torch.log(share / answer) for answer, share in zip(mean, shares))
        else:
            loss = sum(answer * torch.log(answer / share) for answer, share in zip(mean, shares))
        self.losses["balance_loss"] = loss.item()
        return loss

    def _entropy_loss(self, weights: Weights, draws: Draws) -> Tensor:
        logits, _ = discriminator(self.recipe, weights, draws.unlabelled, draws.noise_unlabelled)
        answers = torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True)
        loss = sum(-(answer * torch.log(answer)).sum() for answer in answers) / len(answers)
        self.losses["entropy_loss"] = loss.item()
        return loss

    def _consistency_loss(self, weights: Weights, draws: Draws) -> Tensor:
        settings = self.recipe.consistency
        with torch.no_grad():
            logits, _ = discriminator(self.recipe, advanced(self.averages(0), 15), draws.unlabelled_plain, None)
            probability, target = (torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True)).max(1)
        counts = (probability >= settings.threshold) & (self.done >= settings.start * self.steps)
        logits, _ = discriminator(self.recipe, weights, draws.unlabelled, draws.noise_unlabelled)
        loss = taught(self.recipe, logits, target, counts)
        self.losses["consistency_loss"], self.losses["confident"] = loss.item(), counts.double().mean().item()
        return loss

    def _generator_loss(self, weights: Weights, draws: Draws) -> Tensor:
        count = len(self.weights[0]["output.bias"])
        images = generator(self.recipe, weights, draws.latent_generator, self.shape, draws.classes_generator, count,
                           draws.noise_of_generator[1])
        draws, images = self._noisy(draws), self._with_noise(images, draws.further[1], "generated")
        fakes, reals = [], []
        opponent = self.weights[0]
        if self.recipe.train.generator_against == "average":
            opponent = advanced(self.averages(0), 15)
        if draws.for_generator is not None:
            (truth, real), (logits, fake) = pair(self.recipe, opponent, draws.for_generator, images, (
                draws.noise_generator_real, draws.noise_generator_generated), (reals, fakes))
        else:
            logits, fake = discriminator(self.recipe, opponent, images, draws.noise_generator_generated, fakes)
        matching, loss = self.recipe.feature_matching, 0.0
        if self.recipe.conditional.weight > 0:
            answers = torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True)
            part = -sum(torch.log(answer[label])
                        for answer, label in zip(answers, draws.classes_generator)) / len(answers)
            self.losses["class_loss"] = part.item()
            loss = self.recipe.conditional.weight * part
        if matching.weight > 0:
            for layer in set(matching.layers):
                one, other = (reals[layer - 1], fakes[layer - 1]) if layer else (real, fake)
                gap = (one.mean(0) - other.mean(0)).abs()
                loss = loss + matching.weight * (gap if matching.distance == "absolute" else gap ** 2).mean()
        if self.recipe.adversarial.weight > 0:
            part = plain_judgement.passing(self.recipe.adversarial.loss, logits, truth)
            self.losses["adversarial_loss"] = part.item()
            loss = loss + self.recipe.adversarial.weight * part
        if self.recipe.pull_away.weight > 0:
            pairs = [(a, b) for i, a in enumerate(fake) for j, b in enumerate(fake) if i != j]
            loss = loss + self.recipe.pull_away.weight * sum(
                (a @ b) ** 2 / ((a @ a) * (b @ b)) for a, b in pairs) / len(pairs)
        self.losses["generator_loss"] = loss.item()
        return loss

    def _learning_rate(self) -> float:
        config = self.recipe.train
        if config.schedule == "constant":
            return config.learning_rate
        first = config.decay_from * self.steps
        through = min(1.0, max(0.0, (self.done - first) / (self.steps - first)))  # share of the decay that lies behind
        if config.schedule == "linear":
            return config.learning_rate * (1 - through)
        return config.learning_rate * (1 + torch.cos(torch.tensor(torch.pi * through, dtype=torch.float64)).item()) / 2
