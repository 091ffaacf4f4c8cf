"""The techniques: one file each, and here the one list of them, by the names of their sections in a recipe; and the
list of those that are chosen by other sections' keys.
"""

import dataclasses
from collections.abc import Collection
from typing import Any

from ssgan.errors import Mistake
from ssgan.settings import flatten
from ssgan.techniques.adversarial import Adversarial
from ssgan.techniques.augmentation import Augmentation
from ssgan.techniques.class_balance import ClassBalance
from ssgan.techniques.conditional_generator import ConditionalGenerator
from ssgan.techniques.consistency import Consistency
from ssgan.techniques.entropy import Entropy
from ssgan.techniques.feature_matching import FeatureMatching
from ssgan.techniques.gradient_penalty import GradientPenalty
from ssgan.techniques.historical_averaging import HistoricalAveraging
from ssgan.techniques.instance_noise import InstanceNoise
from ssgan.techniques.kplus1 import KPlus1
from ssgan.techniques.l1 import L1Penalty
from ssgan.techniques.l2 import L2Penalty
from ssgan.techniques.label_noise import LabelNoise
from ssgan.techniques.label_spreading import LabelSpreading
from ssgan.techniques.manifold import Manifold
from ssgan.techniques.pictures import Pictures
from ssgan.techniques.pull_away import PullAway
from ssgan.techniques.settings_entry import SettingsEntry
from ssgan.techniques.smoothing import LabelSmoothing
from ssgan.techniques.supervised import Supervised
from ssgan.techniques.technique import GENERATOR, Technique
from ssgan.techniques.virtual_adversarial import VirtualAdversarial

# Their terms are added, and what they measure is told, in this order.
TECHNIQUES: dict[str, type[Technique]] = {
    "gan": KPlus1,
    "smoothing": LabelSmoothing,
    "label_noise": LabelNoise,
    "instance_noise": InstanceNoise,
    "augment": Augmentation,
    "consistency": Consistency,
    "label_spreading": LabelSpreading,
    "class_balance": ClassBalance,
    "entropy": Entropy,
    "vat": VirtualAdversarial,
    "gradient_penalty": GradientPenalty,
    "manifold": Manifold,
    "feature_matching": FeatureMatching,
    "adversarial": Adversarial,
    "pull_away": PullAway,
    "conditional": ConditionalGenerator,
    "historical_averaging": HistoricalAveraging,
    "l1": L1Penalty,
    "l2": L2Penalty,
    "pictures": Pictures,
}

# Tricks that are no loss, chosen by keys of [model] and [train].
SETTINGS_ENTRIES: dict[str, SettingsEntry] = {
    "weight_norm": SettingsEntry(
        """Weight norm: a layer's weights are a direction and a length apart, W = g v / |v| row by row. Steps along v do
        not change the length, so that the classifier's layers need no batch norm, under which images of a batch would
        depend on each other. Hidden layers keep the g of their initialisation, the output learns it. Costs a norm of
        each row a step. Salimans & Kingma 2016, equation 2.""",
        ("model.norm", "model.output"), {"model.norm": "spectral", "model.output": "plain"}, {"model.norm": "weight"}),
    "batch_norm": SettingsEntry(
        """Batch norm in the discriminator: each unit of a hidden layer has mean 0 and standard deviation 1 over the
        images of a pass, y = gain (x - mean) / sqrt(variance + 1e-5) + shift. Labelled, unlabelled and generated images
        take a pass each and are normalised apart. In evaluation and export the statistics are those of 1,000 training
        images, kept with the averaged weights. Feature matching has nothing to match so. Costs a few passes over the
        activations, and a pass for each kind of images. Ioffe & Szegedy 2015; Radford et al. 2016, section 3.""",
        ("model.norm", "model.norm_gain"), {"model.norm": "weight"}, {"model.norm": "batch"}),
    "virtual_batch_norm": SettingsEntry(
        """Virtual batch norm in the discriminator: mean and variance are those of a reference batch of real images,
        drawn once and kept, which goes through the network with every pass, with noise of its own; with
        model.reference_itself the image itself counts as one more. No image depends on its neighbours, in training or
        after it. Costs so many images more a pass, in evaluation and export too. Salimans et al. 2016, section 3.5.""",
        ("model.norm", "model.reference_images", "model.reference_itself", "model.norm_gain"),
        {"model.norm": "weight"}, {"model.norm": "virtual"}),
    "spectral_norm": SettingsEntry(
        """Spectral norm: hidden weights are divided by their largest singular value, W / sigma with sigma = u W v, so
        that no layer stretches a difference of two images. u follows by one step of the power method before every
        update. Costs two products of a matrix and a vector a layer. Miyato et al. 2018, algorithm 1.""",
        ("model.norm",), {"model.norm": "weight"}, {"model.norm": "spectral"}),
    "data_dependent_initialisation": SettingsEntry(
        """The discriminator's first scales and biases are such that every unit has mean 0 and standard deviation 1 over
        some images of those that the recipe may see: g = 1 / sigma[t], b = -mu[t] / sigma[t] with t = v x / |v|; the
        logits have model.output_scale. No layer is dead or saturated at the start. Costs a pass before training.
        Salimans & Kingma 2016, section 3.""",
        ("train.initialise_images", "model.initial_scale", "model.output_scale"), {}),
    "minibatch_discrimination": SettingsEntry(
        """Minibatch discrimination: behind its features the discriminator is told how near each image lies to the
        others of its batch, o_b(x_i) = sum over j != i of exp(-|M_ib - M_jb|_1) with M = T f(x), so that a generator
        that makes one image again and again is found out. Labelled, unlabelled and generated images are compared among
        themselves; the sum counts as over 99 others whatever the batch. In evaluation and export an image is compared
        with 100 training images that are saved with the model, and so gets one answer in any company. Feature matching
        and what else reads features sees those before this layer. Costs batch^2 kernels dimensions numbers a pass, and
        a pass for each kind of images. Salimans et al. 2016, section 3.2: 100 kernels of 5 dimensions.""",
        ("model.minibatch_kernels", "model.minibatch_dimensions"), {"model.minibatch_kernels": 0}),
    "layer_noise": SettingsEntry(
        """Gaussian noise on the discriminator's input and behind its hidden layers: x + std e, e normal. The classifier
        cannot learn few labelled images by heart, and real and generated images overlap. Costs a draw a unit and image,
        on a CPU a good part of a small step. Bishop 1995; the code of Salimans et al. 2016.""",
        ("model.input_noise", "model.hidden_noise"), {"model.input_noise": 0, "model.hidden_noise": 0}),
    "dropout": SettingsEntry(
        """Dropout in the discriminator: a share s of the numbers on its input, or behind its hidden layers, is 0 in
        each pass of training, and the others are 1 / (1 - s) times what they are; in evaluation none is. Of
        convolutions it stands behind those with a stride. Costs a draw a number. Srivastava et al. 2014; the code of
        Salimans et al. 2016 for CIFAR-10: 0.2 on the input, 0.5 behind the others.""",
        ("model.dropout", "model.input_dropout"), {"model.dropout": 0, "model.input_dropout": 0}),
    "generator_dropout": SettingsEntry(
        """Dropout in the generator: a share of the numbers behind each of its hidden layers is 0 in each pass of
        training, and, as Isola et al. 2017 have it in place of a latent vector, when images are sampled too where
        model.generator_dropout_sampling says so. Costs a draw a number. Chintala et al. 2016, "How to train a GAN",
        number 17: 0.5.""",
        ("model.generator_dropout", "model.generator_dropout_sampling"), {"model.generator_dropout": 0}),
    "generator_activation": SettingsEntry(
        """The activation of the generator's hidden layers: softplus of dense layers, log(1 + exp(x)), ReLU of
        convolutions, or for either ReLU or leaky ReLU, max(x, 0.2 x), whose gradient is nowhere 0. Costs nothing.
        Radford et al. 2016, section 3: ReLU.""",
        ("model.generator_activation",), {"model.generator_activation": "family"}),
    "signed_images": SettingsEntry(
        """Within the networks pixels are in [-1, 1]: the generator ends in tanh, and the discriminator is given 2 x -
        1, whose mean is nearer to 0; noise on its input is then half as strong as beside [0, 1]. Outside, images are in
        [0, 1] whatever it says. Costs a pass over the images. Radford et al. 2016, section 4.""",
        ("model.image_range",), {"model.image_range": "unit"}),
    "generator_batch_norm": SettingsEntry(
        """Batch norm behind the generator's hidden layers, (y - mean) / sqrt(variance + 1e-6) + shift over a batch of
        generated images: without it a deep generator collapses to one image early on. Samples come in batches of the
        training size too. Costs two passes over the activations. Ioffe & Szegedy 2015; Radford et al. 2016, section
        3.""",
        ("model.generator", "model.generator_norm", "model.generator_norm_gain"), {"model.generator_norm": "none"},
        {"model.generator_norm": "batch"}),
    "generator_virtual_batch_norm": SettingsEntry(
        """Virtual batch norm in the generator: mean and variance are those of a reference batch of latent vectors,
        drawn once and kept, its classes in turn, which goes through the generator with every pass. An image does not
        depend on its batch. Costs model.reference_images more a pass. Salimans et al. 2016, section 3.5.""",
        ("model.generator_norm", "model.reference_images", "model.generator_norm_gain"),
        {"model.generator_norm": "batch"}, {"model.generator_norm": "virtual"}),
    "generator_spectral_norm": SettingsEntry(
        """Spectral norm in the generator: W / sigma with sigma = u W v, as in the discriminator, before its batch norm,
        without which it comes to make one image; that norm takes a layer's scale away again, so that what is left is
        how far a step turns the weights. Costs two products of a matrix and a vector a layer. Zhang et al. 2019,
        section 4.""",
        ("model.generator_norm",), {"model.generator_norm": "batch"}, {"model.generator_norm": "spectral"}),
    "latent_uniform": SettingsEntry(
        """The generator's latent vector z is uniform on [0, 1) in each of its numbers, which are bounded and all
        positive; without it they are normal (White 2016). Costs a draw a number. The code of Salimans et al. 2016.""",
        ("model.latent", "model.latent_kind"), {"model.latent_kind": "normal"}),
    "latent_noise": SettingsEntry(
        """Gaussian noise on the generator's latent vector, z + s e with e normal, in training and when images are
        sampled: near vectors then make near images, and a uniform one has no edge. Costs a draw a number. Bishop
        1995, of noise on any input.""",
        ("model.latent_noise",), {"model.latent_noise": 0}),
    "averaging": SettingsEntry(
        """Classified and sampled is with averaged weights, m = (1 - a) m + a w after every update, divided by 1 - (1 -
        a)^t or from zero as the authors have it: the last weights circle round what they near. Costs a copy of the
        weights, and a pass over them an update. Polyak & Juditsky 1992; Kingma & Ba 2015, section 7.2.""",
        ("train.averaging_rate", "train.averaging"), {"train.averaging_rate": 1}),
    "two_time_scales": SettingsEntry(
        """The generator has a learning rate of its own, most often a lower one, so that the discriminator is near its
        best answer all the time. Costs nothing. Heusel et al. 2017, theorem 1.""",
        ("train.generator_learning_rate", "train.learning_rate"), {"train.generator_learning_rate": 0}),
    "several_updates": SettingsEntry(
        """A step updates a player more than once, each time with new images and noise; k updates of the discriminator
        keep it near its best answer. Costs the time of so many updates. Goodfellow et al. 2014, algorithm 1.""",
        ("train.discriminator_updates", "train.generator_updates"),
        {"train.discriminator_updates": 1, "train.generator_updates": 1}),
    "gradient_clipping": SettingsEntry(
        """A gradient g that is longer than c is shortened to it, g c / |g|, over all of a network: one steep place does
        not throw the weights away. Costs a pass over the gradient. Pascanu et al. 2013, algorithm 1.""",
        ("train.clip",), {"train.clip": 0}),
    "authors_adam": SettingsEntry(
        """Adam with its epsilon inside the root, w - rate m / sqrt(v + epsilon): its floor is sqrt(epsilon), and
        gradients below it move weights by their size, not by their sign. Costs nothing. Adam is of Kingma & Ba 2015,
        this form of the code of Salimans et al. 2016.""",
        ("train.adam", "train.epsilon", "train.beta2"), {"train.adam": "standard"}),
    "low_momentum": SettingsEntry(
        """Adam's mean of gradients forgets fast, m = beta1 m + (1 - beta1) g with beta1 0.5 in the place of 0.9: the
        other player moves, and what was downhill two steps ago may be so no more. Costs nothing. Radford et al. 2016,
        section 4.""",
        ("train.beta1",), {"train.beta1": 0.9}),
    "learning_rate_decay": SettingsEntry(
        """The learning rate falls to zero by a line or half a cosine, rate (1 + cos(pi s)) / 2 for the share s of the
        decay that lies behind: two players come to rest that would circle. Costs nothing. The code of Salimans et al.
        2016; Loshchilov & Hutter 2017, equation 5.""",
        ("train.schedule", "train.decay_from"), {"train.schedule": "constant"}),
}


def active(recipe: Any) -> dict[str, Technique]:
    """The techniques of a recipe that are on, by name; first what every classifier learns from."""
    on = {name: getattr(recipe, name) for name in TECHNIQUES if getattr(recipe, name).is_on()}
    return {"supervised": Supervised()} | {name: each
                                           for name, each in on.items() if all(other in on for other in each.requires)}


def draws_images(recipe: Any) -> bool:
    """Whether a generator is trained: the one that the discriminator knows, or a technique's own."""
    return any(GENERATOR in technique.parts or technique.generates for technique in active(recipe).values())


def told_classes(recipe: Any) -> bool:
    """Whether some generator is told the class of the image that it shall make."""
    return any(technique.gives_classes or technique.generates for technique in active(recipe).values())


def further(recipe: Any) -> dict[str, int]:
    """By name, the techniques whose own players are trained after the classifier, and in how many steps."""
    return {name: steps for name, technique in active(recipe).items() if (steps := technique.further_steps())}


def classifier_alone(recipe: Any) -> Any:
    """The recipe without what is trained after the classifier, which is the same without it."""
    return dataclasses.replace(recipe, **{name: getattr(recipe, name).off() for name in further(recipe)})


def without(recipe: Any, seen: Collection[str]) -> Any:
    """The recipe with every technique off that sees any of these: labelled, unlabelled, generated, weights."""
    off = {name: getattr(recipe, name).off() for name, technique in TECHNIQUES.items() if technique.sees & set(seen)}
    return dataclasses.replace(recipe, **off)


def check(recipe: Any, classes: int) -> None:
    """Raises Mistake where techniques that are on cannot be combined, ask for a layer or for classes that are not
    there, or leave the generator without a loss.
    """
    on = active(recipe)
    for name, technique in on.items():
        if classes < technique.least_classes:
            raise Mistake(f"[{name}] needs images of at least {technique.least_classes} classes, and these are of "
                          f"{classes}: try --set {name}.{technique.key}=0.")
        technique.check(recipe)
        for other, reason in technique.excludes.items():
            if other in on:
                raise Mistake(f"[{name}] and [{other}] cannot be combined: {reason}.\n"
                              f"Switch one of them off, for example --set {other}.{TECHNIQUES[other].key}=0.")
            if other in SETTINGS_ENTRIES and SETTINGS_ENTRIES[other].is_on(recipe):
                key, value = next(iter(SETTINGS_ENTRIES[other].off.items()))
                raise Mistake(f"[{name}] and {key} = {flatten(recipe)[key]} cannot be combined: {reason}.\n"
                              f"Switch one of them off, for example --set {key}={value}.")
        layers = len(recipe.model.widths)
        if missing := [layer for layer in technique.hidden() if layer > layers]:
            raise Mistake(f"[{name}] asks for hidden layer {missing[0]} of the discriminator, which has {layers}, as "
                          f"many as model.widths.\nName layers from 1 to {layers}.")
    if recipe.model.minibatch_kernels and recipe.train.labelled_images < 2:
        raise Mistake("model.minibatch_kernels compares the labelled images of a step, of which there is one: "
                      "set train.labelled_share higher.")
    if recipe.model.norm == "batch" and recipe.train.labelled_images < 2:
        raise Mistake("model.norm = batch takes the mean of the labelled images of a step, of which there is one: "
                      "set train.labelled_share higher, or model.norm = virtual.")
    if recipe.model.minibatch_kernels and recipe.model.norm == "virtual":
        raise Mistake("model.minibatch_kernels and model.norm = virtual cannot be combined: the reference batch would "
                      "be among the images\nthat an image is compared with. Set model.norm = weight, or "
                      "model.minibatch_kernels = 0.")
    if any("generated" in part for technique in on.values() for part in technique.parts.values()):
        if not any(GENERATOR in technique.parts and technique.adds_term for technique in on.values()):
            raise Mistake("the generator has no loss: set feature_matching.weight, adversarial.weight or "
                          "pull_away.weight above 0,\nor gan.weight = 0 to train without one.")
