"""Small recipes of the paper's pairs for colour, with which a test takes milliseconds."""

import small

from ssgan.config import override

SIGNED = override(small.MLP, ["model.image_range=signed", "model.output_scale=0.1", "model.initial_scale=0.05",
                              "model.input_noise=0", "model.hidden_noise=0", "train.batch=6", "colours=colour"])
CONV9 = override(SIGNED, ["model.family=conv9", "model.widths=[4, 4, 4, 6, 6, 6, 6, 6, 5]",
                          "model.generator_widths=[8, 6, 4]", "model.input_dropout=0.2", "model.dropout=0.5"])
IMAGENET = override(SIGNED, [
    "model.family=imagenet128", "model.widths=[3, 4, 4, 5, 4, 6, 6, 9]", "model.generator_widths=[8, 6, 4]",
    "model.norm=batch", "model.generator_norm=virtual", "model.generator_norm_gain=true", "model.reference_images=4",
    "model.reference_itself=true", "model.output=plain", "model.minibatch_kernels=3", "model.minibatch_dimensions=2",
    "model.input_noise=0.1", "gan.weight=2", "smoothing.weight=1", "smoothing.alpha=0.75", "feature_matching.weight=0",
    "adversarial.weight=1", "adversarial.target=0.375"])
PAPERS = {"conv9": CONV9, "imagenet128": IMAGENET}
