"""`METRICS`: what is measured, and what each number tells; what `ssgan explain` says of them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MetricPage:
    """What a measurement is, why, its equation, what it costs, its source."""

    text: str
    better: str  # lower, higher, or what else tells good from bad
    names: tuple[str, ...]  # in MLflow, or in --json


METRICS: dict[str, MetricPage] = {
    "test_error": MetricPage(
        """The share of wrong answers on the test images, which are looked at once, at the end, with the averaged last
        weights: wrong / total. Its interval (Wilson, 95 %) is for the choice of the test images alone; how much the
        choice of the labelled ones matters is told by several split seeds. Costs a pass over the test images. Wilson
        1927.""",
        "lower", ("test/error", "test/error_low", "test/error_high", "test/wrong")),
    "cross_validated_error": MetricPage(
        """What stands for the test error where there is no test part: labelled images are held out in turn, each once,
        and the wrong answers are counted over all of them. The models that answer have fewer labels than the one that
        is kept, so it is rather too high. Costs up to five more trainings. Stone 1974.""",
        "lower", ("cross_validation/error",)),
    "validation_error": MetricPage(
        """The share of wrong answers on training images that were held out (split.validation), from time to time in a
        training and at its end. By this, and never by the test error, are settings chosen. Costs the held-out labels.
        Hastie, Tibshirani & Friedman 2009, section 7.2.""",
        "lower", ("val/error",)),
    "labelled_error": MetricPage(
        """The share of wrong answers on the labelled images of a step, noise and all. It falls to 0 in every training
        that goes well, and tells nothing of other images. Costs nothing. Salimans et al. 2016, whose code prints it.
        """,
        "lower", ("train/labelled_error",)),
    "balanced_error": MetricPage(
        """The mean of the classes' errors, mean over k of wrong_k / n_k, in which a small class counts as much as a
        large one: where classes are uneven, always answering the largest has a low error and a high balanced one. Costs
        nothing beside the error. Brodersen et al. 2010.""",
        "lower", ("test/balanced_error", "cross_validation/balanced_error")),
    "recall": MetricPage(
        """Of a class: the share of its images that are answered so, right_k / n_k; one less its error. Costs nothing
        beside the error. Van Rijsbergen 1979.""",
        "higher", ("test/recall/CLASS",)),
    "precision": MetricPage(
        """Of a class: the share of the answers of this class that are right, right_k / answered_k. Costs nothing beside
        the error. Van Rijsbergen 1979.""",
        "higher", ("test/precision/CLASS",)),
    "f1": MetricPage(
        """Of a class: the harmonic mean of precision p and recall r, 2 p r / (p + r). Costs nothing beside the error.
        Van Rijsbergen 1979.""",
        "higher", ("test/f1/CLASS",)),
    "calibration_error": MetricPage(
        """How far the probability of an answer is from the share of such answers that are right: the mean of |right -
        confidence| over 15 bins of equal width, weighed by their images. Costs nothing beside the error. Guo et al.
        2017, equation 3.""",
        "lower", ("test/ece",)),
    "negative_log_likelihood": MetricPage(
        """The mean of -log p of the true class, in nats: one sure mistake costs much. Costs nothing beside the error.
        Guo et al. 2017, section 2.""",
        "lower", ("test/nll",)),
    "gain": MetricPage(
        """How much lower the test error is than that of the same network, noise, augmentation, averaging and steps on
        the labelled images alone: what all the unlabelled images brought. Costs that training. Oliver et al. 2018,
        section 4.2, on why it must be the same network.""",
        "higher", ("test/gain", "by_labels/gain_points")),
    "generator_gain": MetricPage(
        """How much lower the test error is than that of the same recipe without generated images (gan.weight = 0): what
        the generator brought. Costs that training. Dai et al. 2017, on when a generator can help at all.""",
        "higher", ("test/generator_gain", "by_labels/generator_gain_points")),
    "inception_score": MetricPage(
        """Whether generated images are sure to be of a class and all classes come: exp of the mean over images of
        KL(p(y|x) || p(y)), from 1 to the number of classes. Here p is of a network trained on the data set's full
        training labels, not of Inception, so compare it with the real images' score beside it, at the same count and
        splits, and with no figure of another network. It does not see that one image of each class would be enough.
        Costs a pass of that network over the images; its training is cached. Salimans et al. 2016, section 4.""",
        "higher, up to the real images'", ("score/inception_score", "score/inception_score_std",
                                          "score/inception_score_matched", "score/inception_score_real")),
    "frechet_distance": MetricPage(
        """How far generated images are from the real test images in a network's features, of which each set is taken as
        a Gaussian: |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)). It sees images that are missing as well as images that are
        wrong. The features are of the network of the Inception Score here, so it is no FID of the literature; it grows
        as there are fewer images. Costs a pass of that network, and a root of a matrix. Heusel et al. 2017, equation
        6.""",
        "lower, down to the real training images'", ("score/frechet_distance", "score/frechet_distance_real")),
    "generated_only_error": MetricPage(
        """The test error of a small network that is trained on generated images alone, with the classes that were asked
        for as labels: images that are wrong, or all alike, teach it little. Beside it stands the same network's on as
        many real images. Costs score.trainings small trainings; only where the generator is told classes. Ravuri &
        Vinyals 2019.""",
        "lower, down to the real images'", ("score/generated_only_error", "score/generated_only_error_real")),
    "class_agreement": MetricPage(
        """The share of generated images that the scoring network puts into the class that was asked for. Costs nothing
        beside the Inception Score. Odena et al. 2017, section 4.1.""",
        "higher", ("score/class_agreement",)),
    "turing_accuracy": MetricPage(
        """The share of right answers of people who are shown real test images and generated ones, half and half, and
        say which is which: 1/2 where nobody can tell. Told after each answer what it was, people learn the generator's
        flaws, so that is measured apart (feedback/), and so are the best generated images by score (top_1/). Of several
        people's answers together, and of each kind of image; the interval (Wilson, 95 %) takes all answers as
        independent. Its step is the number of answers. Costs people's time. Salimans et al. 2016, section 6.2.""",
        "lower, down to 1/2", ("turing/accuracy", "turing/real_accuracy", "turing/generated_accuracy",
                               "turing/answers")),
    "class_entropy": MetricPage(
        """The entropy in nats of how many generated images fall on each class, -sum_k h_k log h_k: log K where all come
        alike, 0 where one is made again and again. Costs nothing beside the Inception Score. Shannon 1948.""",
        "near log K, where classes are even", ("score/class_entropy",)),
}
