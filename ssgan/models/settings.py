"""The recipe's [model] section."""

from dataclasses import dataclass

from ssgan.settings import choice, number, numbers, switch

FAMILIES = ("mlp", "conv", "dcgan", "multiscale", "conv9", "imagenet128", "airbench")


@dataclass(frozen=True)
class ModelConfig:
    """The pair of networks; what widths mean is said by the family's file in models/."""

    family: str = choice("mlp", FAMILIES, "the family of the pair, a file in models/")
    generator: str = choice("family", ("family", *(name for name in FAMILIES if name != "multiscale")),
                            "the generator's family; family is that of the pair")
    widths: tuple[int, ...] = numbers((1000, 500, 250, 250, 250), 1, 16384, "hidden widths of the discriminator")
    generator_widths: tuple[int, ...] = numbers((500, 500), 1, 16384, "hidden widths of the generator")
    strides: tuple[int, ...] = numbers((1, 2), 0, 4, "strides of the convolutions of conv's discriminator, repeated as "
                                                     "often as needed; 0 alone halves the map until it has 8 pixels a "
                                                     "side")
    pooling: str = choice("mean", ("mean", "max", "none"), "how the last convolution's map becomes features: by its "
                                                           "mean, its largest values, or as it is; conv9 has the mean, "
                                                           "imagenet128 a dense layer")
    latent: int = number(100, 1, 16384, "numbers in the latent vector")
    latent_kind: str = choice("uniform", ("uniform", "normal"), "what they are: uniform on [0, 1), or normal")
    latent_noise: float = number(0.0, 0, 100, "standard deviation of Gaussian noise on the latent vector")
    image_range: str = choice("unit", ("unit", "signed"), "of pixels within the networks: [0, 1] from a sigmoid, or "
                                                          "[-1, 1] from tanh; outside they are in [0, 1]")
    initial_scale: float = number(0.1, 1e-6, 10, "standard deviation of the discriminator's first weights")
    norm: str = choice("weight", ("weight", "spectral", "batch", "virtual", "none"),
                       "of the discriminator's hidden layers: weight norm as in the paper, spectral norm, batch norm, "
                       "batch norm over a fixed reference batch, or none")
    norm_gain: bool = switch(True, "a trained gain in batch norm of the discriminator")
    reference_images: int = number(100, 2, 4096, "images in the reference batch of virtual batch norm")
    reference_itself: bool = switch(False, "virtual batch norm counts the image itself among them")
    output: str = choice("normalised", ("normalised", "plain", "spectral"),
                         "the classifier's last layer: with weight norm as in the paper, without, or with spectral "
                         "norm")
    minibatch_kernels: int = number(0, 0, 4096, "kernels of minibatch discrimination, behind the discriminator's "
                                                "features; 0 is none")
    minibatch_dimensions: int = number(5, 1, 256, "numbers in which each of its kernels compares two images")
    output_scale: float = number(1.0, 1e-6, 100, "standard deviation of the classifier's first logits, over images")
    input_noise: float = number(0.3, 0, 100, "standard deviation of the Gaussian noise on the input")
    hidden_noise: float = number(0.5, 0, 100, "standard deviation of the Gaussian noise after each hidden layer")
    input_dropout: float = number(0.0, 0, 0.99, "share of the discriminator's input that is dropped; 0 is none")
    dropout: float = number(0.0, 0, 0.99, "share dropped after each of its hidden layers, of convolutions after each "
                                          "with a stride; 0 is none")
    generator_dropout: float = number(0.0, 0, 0.99, "share dropped after each hidden layer of the generator; 0 is none")
    generator_dropout_sampling: bool = switch(False, "dropout in the generator when images are sampled too")
    generator_norm: str = choice("batch", ("batch", "virtual", "spectral", "none", "weight"),
                                 "of the generator's hidden layers: batch norm, over a fixed batch of "
                                 "reference_images, behind spectral norm, none, or weight norm")
    generator_norm_gain: bool = switch(False, "a trained gain in batch norm of the generator")
    generator_activation: str = choice("family", ("family", "relu", "leaky"),
                                       "of the generator's hidden layers; family is softplus of mlp, ReLU of the "
                                       "others")
    minibatch_distance: str = choice("l1", ("l1", "l2"), "of two images in a kernel of minibatch discrimination: the "
                                                         "sum of absolute differences, or the root of summed squares")
    norm_batches: str = choice("apart", ("apart", "joint"), "batch norm of the discriminator over unlabelled and "
                                                            "generated images each on their own, or as one batch")
    activation: str = choice("family", ("family", "relu", "leaky"),
                             "of the discriminator's hidden layers; family is ReLU of mlp, leaky ReLU of the "
                             "others")
    downsampling: str = choice("strides", ("strides", "average"), "of conv's discriminator: by its convolutions' "
                                                                  "strides, or by average pooling behind them")
    upsampling: str = choice("nearest", ("nearest", "transposed"), "of conv's and airbench's generator: each pixel "
                                                                   "four times before a 3x3 convolution, or a 4x4 "
                                                                   "transposed one")
