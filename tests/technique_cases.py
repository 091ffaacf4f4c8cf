"""Recipes with techniques of adversarial training: each one's steps are held against the plain implementation, in one
lane and in two, and as the program that is compiled (tests/training/test_passes.py, test_compile.py).
"""

import small

RADFORD = ["model.norm=batch", "model.generator_norm_gain=true", "model.pooling=none", "model.image_range=signed",
           "model.output=plain", "model.initial_scale=0.02", "model.input_noise=0", "model.hidden_noise=0",
           "train.initialise_images=0"]
ADVERSARIAL = ["adversarial.weight=1", "feature_matching.weight=0"]

CASES = {
    "mlp, adversarial loss beside feature matching": (small.MLP, ["adversarial.weight=0.4"]),
    **{f"mlp, {loss} loss of the generator alone": (
        small.MLP, ["feature_matching.weight=0", "adversarial.weight=0.7", f"adversarial.loss={loss}"])
       for loss in ("non-saturating", "minimax", "least-squares", "hinge")},
    "mlp, relativistic pair": (
        small.MLP, ["feature_matching.weight=0", "adversarial.weight=1", "adversarial.loss=relativistic",
                    "gan.loss=relativistic", "smoothing.weight=1"]),
    "conv, Wasserstein pair": (
        small.CONV, ["feature_matching.weight=0", "adversarial.weight=1", "adversarial.loss=wasserstein",
                     "gan.loss=wasserstein", "gradient_penalty.weight=2"]),
    "mlp, hinge pair, flipped labels": (
        small.MLP, ["feature_matching.weight=0.3", "adversarial.weight=1", "adversarial.loss=hinge", "gan.loss=hinge",
                    "label_noise.share=0.3"]),
    "conv, least squares, smoothing": (
        small.CONV, ["gan.loss=least-squares", "smoothing.weight=0.5", "smoothing.alpha=0.8", "smoothing.beta=0.1"]),
    "mlp, one-sided smoothing": (small.MLP, ["smoothing.weight=1"]),
    "mlp, smoothing of both sides from a range, flipped labels, few generated images": (
        small.MLP, ["smoothing.weight=1", "smoothing.beta=0.1", "smoothing.width=0.3", "label_noise.share=0.3",
                    "train.generated_share=0.5", "gan.weight=0.7"]),
    "mlp, flipped labels of unlabelled images": (
        small.MLP, ["label_noise.share=0.4", "label_noise.sides=unlabelled", "train.discriminator_updates=2"]),
    "mlp, instance noise": (
        small.MLP, ["instance_noise.std=0.2", "instance_noise.until=0.4", "vat.weight=1", "vat.share=1"]),
    "conv, instance noise, generated images alone teach the generator": (
        small.CONV, ["instance_noise.std=0.3", "feature_matching.weight=0", "pull_away.weight=1",
                     "gradient_penalty.weight=0.5"]),
    "mlp, gradient penalty at generated images": (
        small.MLP, ["gradient_penalty.weight=2", "gradient_penalty.at=generated", "gradient_penalty.target=0",
                    "train.generated_share=0.7"]),
    "mlp, L1 and L2": (small.MLP, ["l1.weight=0.02", "l2.weight=0.1", "train.clip=0.4"]),
    "conv, L2 of the generator, L1 of the discriminator": (
        small.CONV, ["l2.weight=0.2", "l2.of=generator", "l1.weight=0.01", "l1.of=discriminator"]),
    "mlp, dropout in both": (
        small.MLP, ["model.input_dropout=0.2", "model.dropout=0.5", "model.generator_dropout=0.3", "vat.weight=0.1",
                    "train.generator_updates=2", "model.hidden_noise=0"]),
    "conv, dropout in both, told classes": (
        small.CONV, ["model.input_dropout=0.2", "model.dropout=0.5", "model.generator_dropout=0.3",
                     "conditional.weight=0.4", "model.strides=[2, 1]"]),
    "mlp, normal latent vectors, leaky, images in [-1, 1]": (
        small.MLP, ["model.latent_kind=normal", "model.generator_activation=leaky", "model.image_range=signed",
                    "gradient_penalty.weight=0.1"]),
    "conv, noise on uniform latent vectors, leaky, images in [-1, 1]": (
        small.CONV, ["model.latent_noise=0.3", "model.generator_activation=leaky", "model.image_range=signed"]),
    "mlp, ReLU": (small.MLP, ["model.generator_activation=relu", "model.latent_kind=normal", "model.latent_noise=0.1"]),
    "mlp, manifold": (small.MLP, ["manifold.weight=0.1", "manifold.epsilon=0.7", "train.discriminator_updates=2"]),
    "conv, manifold of a generator with classes, dropout and normal latent vectors": (
        small.CONV, ["manifold.weight=0.1", "manifold.step=0.2", "conditional.weight=0.4", "model.latent_kind=normal",
                     "model.generator_dropout=0.3"]),
    "mlp, batch norm": (small.MLP, ["model.norm=batch", "train.labelled_share=0.5", "adversarial.weight=1",
                                    "feature_matching.weight=0"]),
    "conv, batch norm without gain, minibatch discrimination": (
        small.CONV, ["model.norm=batch", "model.norm_gain=false", "model.minibatch_kernels=2",
                     "feature_matching.weight=0", "pull_away.weight=1"]),
    "mlp, virtual batch norm": (small.MLP, ["model.norm=virtual", "model.reference_images=6",
                                            "feature_matching.layers=[0, 1]", "manifold.weight=0.1"]),
    "mlp, virtual batch norm with the image itself": (
        small.MLP, ["model.norm=virtual", "model.reference_images=3", "model.reference_itself=true",
                    "model.norm_gain=false", "model.dropout=0.3"]),
    "conv, virtual batch norm with the image itself": (
        small.CONV, ["model.norm=virtual", "model.reference_images=4", "model.reference_itself=true",
                     "gradient_penalty.weight=0.5"]),
    "mlp, virtual batch norm with gain of a generator with classes and dropout": (
        small.MLP, ["model.generator_norm=virtual", "model.reference_images=6", "model.generator_norm_gain=true",
                    "conditional.weight=0.4", "model.generator_dropout=0.3"]),
    "conv, virtual batch norm in both, latent noise": (
        small.CONV, ["model.generator_norm=virtual", "model.reference_images=4", "model.norm=virtual",
                     "model.latent_noise=0.1"]),
    "mlp, spectral norm in both": (small.MLP, ["model.generator_norm=spectral", "model.norm=spectral",
                                               "train.generator_updates=2"]),
    "conv, spectral norm of the generator": (small.CONV, ["model.generator_norm=spectral"]),
    "mlp, no norm of the generator": (small.MLP, ["model.generator_norm=none"]),
    "conv, batch norm with gain of the generator": (small.CONV, ["model.generator_norm_gain=true"]),
    "airbench": (
        small.AIRBENCH, ["consistency.weight=0.7", "consistency.threshold=0.5", "consistency.start=0",
                         "train.adam=authors", "augment.shift=1", "augment.whole=true", "augment.brightness=0.3"]),
    "airbench, dropout, maps matched, DiffAugment of both kinds of images": (
        small.AIRBENCH, ["model.widths=[5]", "model.dropout=0.3", "model.norm=none", "model.activation=relu",
                         "model.input_noise=0", "model.pooling=mean",
                         "train.adam=authors", "feature_matching.layers=[0, 1]", "diff_augment.shift=1",
                         "diff_augment.brightness=0.3", "diff_augment.contrast=0.4", "diff_augment.saturation=0.5",
                         "diff_augment.cutout=0.5"]),
    "conv, DiffAugment of generated images, instance noise": (
        small.CONV, ["diff_augment.shift=2", "diff_augment.border=reflected", "diff_augment.cutout=0.4",
                     "diff_augment.real=false", "instance_noise.std=0.2", "adversarial.weight=0.5"]),
    "mlp, minibatch discrimination by the L2 distance": (
        small.MLP, ["model.minibatch_kernels=3", "model.minibatch_distance=l2", "model.output_scale=0.5",
                    "adversarial.weight=0.5"]),
    "mlp, joint batch norm": (
        small.MLP, ["model.norm=batch", "model.norm_batches=joint", "feature_matching.layers=[0, 1]",
                    "adversarial.weight=0.5", "train.generated_share=0.6"]),
    "conv, joint batch norm without gain, relativistic generator": (
        small.CONV, ["model.norm=batch", "model.norm_batches=joint", "model.norm_gain=false", "adversarial.weight=1",
                     "adversarial.loss=relativistic"]),
    "mlp, updates by the ratio of losses, of both": (
        small.MLP, ["loss_ratio.share=0.9", "train.discriminator_updates=2", "train.learning_rate=0.02",
                    "historical_averaging.weight=0.2"]),
    "mlp, updates of the generator by the ratio of losses, averages from zero": (
        small.MLP, ["loss_ratio.share=0.2", "loss_ratio.of=generator", "train.learning_rate=0.02",
                    "train.averaging=zero-start"]),
    "conv, updates of the discriminator by the ratio of losses": (
        small.CONV, ["loss_ratio.share=1", "loss_ratio.of=discriminator", "model.norm=spectral", "train.clip=1"]),
    "mlp, against the averaged discriminator": (
        small.MLP, ["train.generator_against=average", "adversarial.weight=0.5", "pull_away.weight=0.3",
                    "train.generator_updates=2", "train.averaging_rate=0.3"]),
    "conv, against the averaged discriminator under spectral norm": (
        small.CONV, ["train.generator_against=average", "model.norm=spectral", "conditional.weight=0.4",
                     "train.averaging_rate=0.3"]),
    "mlp, no norm and leaky ReLU in the discriminator, weight norm in the generator": (
        small.MLP, ["model.norm=none", "model.activation=leaky", "model.generator_norm=weight", "vat.weight=0.1"]),
    "conv, no norm and ReLU in the discriminator, weight norm in the generator": (
        small.CONV, ["model.norm=none", "model.activation=relu", "model.generator_norm=weight",
                     "conditional.weight=0.4"]),
    "conv, average pooling and transposed convolutions": (
        small.CONV, ["model.downsampling=average", "model.upsampling=transposed", "gradient_penalty.weight=0.5",
                     "model.dropout=0.3", "model.strides=[3, 1, 2]"]),
    "conv, transposed convolutions under spectral norm, average pooling with batch norm": (
        small.CONV, ["model.downsampling=average", "model.upsampling=transposed", "model.generator_norm=spectral",
                     "model.norm=batch", "model.norm_batches=joint"]),
    "conv, transposed convolutions under weight norm": (
        small.CONV, ["model.upsampling=transposed", "model.generator_norm=weight", "model.pooling=none"]),
    "mlp, a pair without labels": (small.MLP, ["train.labelled_weight=0", "adversarial.weight=0.5"]),
    "mlp, no norm, spectral output": (small.MLP, ["model.norm=none", "model.output=spectral"]),
    "dcgan": (small.DCGAN, ["vat.weight=0.3", "pull_away.weight=0.1"]),
    "dcgan, the paper's rules": (small.DCGAN, [*RADFORD, *ADVERSARIAL]),
    "dcgan, spectral norm in both, told classes, dropout": (
        small.DCGAN, ["model.norm=spectral", "model.output=spectral", "model.generator_norm=spectral", "gan.loss=hinge",
                      "conditional.weight=0.4", "model.generator_dropout=0.3", "model.dropout=0.3"]),
    "dcgan, virtual batch norm in both": (
        small.DCGAN, ["model.norm=virtual", "model.reference_images=4", "model.generator_norm=virtual"]),
    "dcgan, no norm, minibatch discrimination": (
        small.DCGAN, ["model.norm=none", "model.generator_norm=none", "model.minibatch_kernels=1",
                      "model.minibatch_dimensions=2"]),
    "multiscale": (small.MULTISCALE, ["model.pooling=none", "feature_matching.layers=[0, 1]"]),
    "multiscale, batch norm in both": (small.MULTISCALE, [*RADFORD, *ADVERSARIAL]),
    "multiscale, Wasserstein pair": (
        small.MULTISCALE, ["model.norm=none", "gan.loss=wasserstein", "gradient_penalty.weight=2",
                           "adversarial.loss=wasserstein", *ADVERSARIAL, "model.image_range=signed"]),
    "multiscale, penalty at real images, instance noise, told classes": (
        small.MULTISCALE, ["gradient_penalty.weight=2", "gradient_penalty.at=real", "gradient_penalty.target=0",
                           "instance_noise.std=0.2", "conditional.weight=0.4", "adversarial.weight=0.5"]),
    "multiscale, virtual batch norm in both, manifold": (
        small.MULTISCALE, ["model.norm=virtual", "model.reference_images=4", "model.generator_norm=virtual",
                           "manifold.weight=0.1", "vat.weight=0.1"]),
    "conv, all of them": (
        small.CONV, ["adversarial.weight=0.4", "smoothing.weight=1", "smoothing.width=0.1", "label_noise.share=0.1",
                     "instance_noise.std=0.1", "l1.weight=0.001", "l2.weight=0.01", "gradient_penalty.weight=0.1",
                     "conditional.weight=0.3", "pull_away.weight=0.1", "historical_averaging.weight=0.1"]),
}
