"""The paper's pair for ImageNet at 128x128 pixels, after DCGAN (Salimans et al. 2016, section 6.4, and the authors'
script).
"""

import math

import torch
from torch import Tensor, nn

from ssgan.errors import Mistake
from ssgan.models.activation import activation
from ssgan.models.batch_normed import BatchNormed
from ssgan.models.context import Context
from ssgan.models.deconvolution import deconvolution
from ssgan.models.functional import as_images, signed, with_classes
from ssgan.models.generator_layers import fill, norm, product, reference_latents
from ssgan.models.generator_layers import with_reference as with_latents
from ssgan.models.layer_noise import LayerNoise, Place
from ssgan.models.minibatch_halves import MinibatchHalves
from ssgan.models.output import hidden_layer, output_layer
from ssgan.models.settings import ModelConfig

STRIDES = (2, 2, 2, 1, 1, 2, 2)  # of the 3x3 convolutions
NOISE_SHARES = (1, 1, 2, 4, 8)  # of the generator's last width, the channels of latent noise at each scale; then 8
FIRST_WEIGHTS = 0.02  # standard deviations in the generator: of its weights, and of batch norm's gains about 1
LAST_WEIGHTS, LAST_BIAS = 0.075, -0.45  # of its output layer: the first images are dark


class Discriminator(nn.Module):
    """Seven 3x3 convolutions, of which those number 1, 2, 3, 6 and 7 have stride 2, and a dense layer, leaky ReLU 0.2
    or the recipe's activation behind each; then the minibatch features of both halves, and a dense layer. `widths` are
    the seven channels and the dense layer's: 64, 128, 256, 256, 256, 512, 512 and 2560 in the paper's.

    It is given real images and, behind them, generated ones. With `model.norm = "batch"` half of a layer's units are
    normalised by the real ones' mean and deviation, half by the generated ones'; minibatch features are taken over each
    of them apart. Its features are the dense layer. Gaussian noise falls on the input and on what the output layer is
    given, dropout there and behind convolutions with a stride. Raises Mistake for another number of widths, and for
    virtual batch norm, which the paper has in the generator alone.
    """

    couples_batch = False
    references = 0

    def __init__(self, config: ModelConfig, shape: tuple[int, int, int], classes: int, generator: torch.Generator):
        super().__init__()
        if len(config.widths) != len(STRIDES) + 1:
            raise Mistake(f"model.widths = {list(config.widths)}: the family imagenet128 wants the widths of "
                          f"{len(STRIDES)} convolutions and of a dense layer,\nas [64, 128, 256, 256, 256, 512, 512, "
                          f"2560].")
        if config.norm == "virtual":
            raise Mistake("model.norm = virtual: the family imagenet128 has virtual batch norm in its generator alone, "
                          "by model.generator_norm; set model.norm = batch.")
        self.output_scale, self.image_range = config.output_scale, config.image_range
        self.activation = activation(config.activation, "leaky")
        channels, maps = [shape[0], *config.widths[:-1]], [shape[1:]]
        for stride in STRIDES:
            maps.append(tuple(-(-side // stride) for side in maps[-1]))
        flat, dense = channels[-1] * math.prod(maps[-1]), config.widths[-1]
        self.hidden = nn.ModuleList([*(
            _hidden(config, a, b, generator, kernel=3, stride=stride, padding=1)
            for a, b, stride in zip(channels, channels[1:], STRIDES)), _hidden(config, flat, dense, generator)])
        self.minibatch = None if not config.minibatch_kernels else MinibatchHalves(
            dense, config.minibatch_kernels, config.minibatch_dimensions, config.initial_scale, generator,
            config.minibatch_distance)
        self.width = dense + 2 * config.minibatch_kernels
        self.output = output_layer(config, self.width, classes, generator)
        self.noise = LayerNoise([Place(shape, config.input_noise or None, config.input_dropout),
                                 *(Place((width, *sides), dropout=config.dropout if stride > 1 else 0.0)
                                   for width, sides, stride in zip(channels[1:], maps[1:], STRIDES)),
                                 Place((self.width,), config.hidden_noise or None, config.dropout)])
        self.products = sum(9 * a * b * math.prod(sides) for a, b, sides in zip(channels, channels[1:], maps[1:]))
        self.products += flat * dense + self.width * classes
        self.products += dense * config.minibatch_kernels * config.minibatch_dimensions

    def noise_shapes(self, n: int) -> list[tuple[int, ...]]:
        """The shapes of the normal draws that one pass over n images takes."""
        return self.noise.shapes(n)

    def forward(self, x: Tensor, context: Context = Context(),
                inner: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """[n, c, h, w] in [0, 1] -> (logits [n, k], features [n, f]); `inner` as `features` has it."""
        features = self.features(x, context, inner)
        compared = features if self.minibatch is None else self.minibatch(features, context.generated or 0)
        return self.output(self.noise(compared, len(self.hidden), context)), features

    def features(self, x: Tensor, context: Context = Context(), inner: list[Tensor] | None = None) -> Tensor:
        """The dense layer, before the minibatch features and noise: [n, f]. What every hidden layer says [n, ...] is
        appended to `inner`.
        """
        x = self.noise(signed(x, self.image_range), 0, context)
        for place, layer in enumerate(self.hidden, 1):
            x = _flat(x, place)
            x = layer(x, context.generated or 0) if isinstance(layer, BatchNormed) else layer(x)
            x = self.activation(x)
            if inner is not None:
                inner.append(x)
            if place <= len(STRIDES):
                x = self.noise(x, place, context)
        return x

    def initialise(self, x: Tensor, context: Context) -> None:
        """Data-dependent initialisation, layer after layer, noise on."""
        x = self.noise(signed(x, self.image_range), 0, context)
        for place, layer in enumerate(self.hidden, 1):
            x = self.activation(layer.initialise(_flat(x, place)))
            if place <= len(STRIDES):
                x = self.noise(x, place, context)
        x = x if self.minibatch is None else self.minibatch(x)
        self.output.initialise(self.noise(x, len(self.hidden), context), self.output_scale)


def _flat(x: Tensor, place: int) -> Tensor:
    """The last map as numbers in a row, before the dense layer."""
    return x.flatten(1) if place == len(STRIDES) + 1 else x


def _hidden(config: ModelConfig, inputs: int, outputs: int, generator: torch.Generator | None,
            **convolution: int) -> nn.Module:
    if config.norm != "batch":
        return hidden_layer(config, inputs, outputs, generator, **convolution)
    layer = BatchNormed(inputs, outputs, config.initial_scale, generator, gain=config.norm_gain, crossed=True,
                        **convolution)
    _fill_gain(layer.gain, generator)
    return layer


def _fill_gain(gain: Tensor | None, generator: torch.Generator | None) -> None:
    if gain is not None and generator is not None:
        nn.init.normal_(gain, 1.0, FIRST_WEIGHTS, generator=generator)


def noise_shapes_of(config: ModelConfig, shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """The latent noise that is joined to the generator's maps, of one image: [c, h, w] from the smallest map to the
    largest.
    """
    scales = len(config.generator_widths)
    shares = [*NOISE_SHARES, *[NOISE_SHARES[-1]] * scales][:scales]
    return [(max(1, config.generator_widths[-1] // share), *(side // 2 ** (scales - 1 - scale) for side in shape[1:]))
            for scale, share in enumerate(shares)]


def latent_numbers(config: ModelConfig, shape: tuple[int, int, int]) -> int:
    """Numbers in one latent vector: `model.latent` for the dense layer, and behind them the noise of every scale."""
    return config.latent + sum(math.prod(each) for each in noise_shapes_of(config, shape))


class Generator(nn.Module):
    """A dense layer to a small map, 5x5 deconvolutions that double its size, and one that does not to the image; batch
    norm or virtual batch norm and ReLU behind each, and behind these latent noise is joined as further channels.

    `generator_widths` are the channels: 512, 256, 128, 64, 64, 64 in the paper's, from 4x4 to 128x128 pixels, with 64,
    64, 32, 16, 8 and 8 channels of noise. Uniform latent numbers are brought to [-1, 1) first. With
    `model.reference_itself` an image's own mean and square count in its virtual batch norm, as the authors have it.
    Raises Mistake for images that so many doublings do not make.
    """

    def __init__(self, config: ModelConfig, shape: tuple[int, int, int], generator: torch.Generator | None,
                 classes: int = 0):
        super().__init__()
        widths = config.generator_widths
        _check(widths, shape)
        self.shape, self.classes, self.image_range = shape, classes, config.image_range
        self.activation, self.uniform = activation(config.generator_activation, "relu"), config.latent_kind == "uniform"
        self.start = [side // 2 ** (len(widths) - 1) for side in shape[1:]]
        self.joined = noise_shapes_of(config, shape)
        self.sizes = [config.latent, *(math.prod(each) for each in self.joined)]
        inputs = [width + each[0] for width, each in zip(widths, self.joined)]
        self.dense = product(config, config.latent + classes, widths[0] * math.prod(self.start), generator)
        self.hidden = nn.ModuleList(product(config, a, b, generator, kernel=5, padding=2)
                                    for a, b in zip(inputs, widths[1:]))
        self.norms = nn.ModuleList(norm(config, width, epsilon=1e-5) for width in widths)
        self.noise = LayerNoise([Place((width, *each[1:]), dropout=config.generator_dropout)
                                 for width, each in zip(widths, self.joined)])
        fill((self.dense, *self.hidden), generator, FIRST_WEIGHTS)
        if config.generator_norm not in ("none", "weight"):
            for each in self.norms:
                _fill_gain(each.gain, generator)
        self.output = nn.Conv2d(inputs[-1], shape[0], 5, padding=2)
        fill((self.output,), generator, LAST_WEIGHTS)
        nn.init.constant_(self.output.bias, LAST_BIAS)
        self.register_buffer("reference", reference_latents(config, generator, sum(self.sizes)))
        self.references = 0 if self.reference is None else len(self.reference)
        places = [math.prod(each[1:]) for each in self.joined]
        self.products = (config.latent + classes) * widths[0] * math.prod(self.start) + sum(
            25 * a * b * count for a, b, count in zip(inputs, (*widths[1:], shape[0]), places))

    def forward(self, latent: Tensor, context: Context = Context()) -> Tensor:
        """[n, z], and classes in the context where it is told them -> images [n, c, h, w] in [0, 1]."""
        latent, context = with_latents(self.reference, self.classes, latent, context)
        first, *joined = (2 * latent - 1 if self.uniform else latent).split(self.sizes, 1)
        x = self.dense(with_classes(first, context.labels, self.classes)).unflatten(1, (-1, *self.start))
        for place, (normed, each, shape) in enumerate(zip(self.norms, joined, self.joined)):
            if place:
                x = deconvolution(self.hidden[place - 1], x)
            x = torch.cat([self.noise(self.activation(normed(x)), place, context), each.unflatten(1, shape)], 1)
        return as_images(deconvolution(self.output, x[self.references:], stride=1), self.image_range)

    def noise_shapes(self, n: int) -> list[tuple[int, ...]]:
        """The shapes of the normal draws that one pass over n latent vectors takes."""
        return self.noise.shapes(self.references + n)


def _check(widths: tuple[int, ...], shape: tuple[int, int, int]) -> None:
    times = 2 ** (len(widths) - 1)
    if any(side % times for side in shape[1:]):
        side = max(1, round(max(shape[1:]) / times)) * times
        raise Mistake(f"model.generator_widths = {list(widths)} double a map {len(widths) - 1} times, and "
                      f"{shape[1]}x{shape[2]} pixels are no multiple of {times}:\nset fewer widths, or bring images "
                      f"of a folder to another size, for example --image-size {side}.")
