"""The scores of generators against the plain measures, of one and of several, told classes or not; what cannot be
scored.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import small
import torch

from ssgan.config import ScoreConfig
from ssgan.data.dataset import Dataset
from ssgan.data.images import Images
from ssgan.errors import Mistake
from ssgan.evaluation import domain_classifier, generator_scores, metrics, scoring_network
from ssgan.evaluation.frechet_distance import Gaussian, frechet_distance
from ssgan.evaluation.image_list import ImageList
from ssgan.evaluation.kernel_distance import kernel_distance
from ssgan.evaluation.precision_recall import precision_recall
from ssgan.evaluation.score_names import today, with_old_names
from ssgan.evaluation.scoring_network import Answers, Network
from ssgan.random_streams import torch_generator

CLASSES = 4
CENTRES = torch.tensor([0.1, 0.35, 0.6, 0.85])
REAL = Images.of(  # in class order, as the files of some data sets are
    torch.arange(40).view(40, 1, 1, 1).expand(40, 1, 2, 2).to(torch.uint8) * 6, torch.arange(40) // 10, tuple("abcd"))
TRAIN = Images.of(REAL.pixels.repeat(2, 1, 1, 1) + 3, REAL.labels.repeat(2), REAL.classes)
DATA = Dataset("brightness", TRAIN, REAL)


def probabilities_of(x: torch.Tensor) -> torch.Tensor:
    """Brighter images belong to later classes."""
    return (-(30 * (x.mean((1, 2, 3))[:, None] - CENTRES)) ** 2).softmax(1)


def answers_of(x: torch.Tensor) -> Answers:
    return Answers(probabilities_of(x), torch.stack([x.mean((1, 2, 3)), x.mean((1, 2, 3)) ** 2], 1))


NETWORK = Network("brightness", 0.25, answers_of)


def brightness(start: int, count: int) -> torch.Tensor:
    """Image i has the brightness i * 0.377, without its whole part."""
    return (torch.arange(start, start + count) * 0.377 % 1).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)


@dataclass
class Source:
    """Images and, of a source that is told them, classes by number."""

    images: Callable[[int, int], torch.Tensor] = brightness
    asked: Callable[[torch.Tensor], torch.Tensor] | None = None  # the classes of these numbers
    name: str = "generator"

    @property
    def conditional(self) -> bool:
        return self.asked is not None

    def labels(self, start: int, count: int) -> torch.Tensor | None:
        return None if self.asked is None else self.asked(torch.arange(start, start + count))


def found(*sources: Source, network=NETWORK, data=DATA, samples=2300, splits=5, train_images=0, train_epochs=2,
          trainings=2):
    settings = ScoreConfig(samples, splits, "average", train_images, train_epochs, trainings)
    sources = sources or (Source(),)
    told = any(one.conditional for one in sources)
    real = generator_scores.real_scores(data, network, settings, "cpu", labelled=told)
    return generator_scores.score(sources, data.test, real, network, settings, "cpu")


def test_without_a_test_part_a_half_of_the_training_images_stands_for_it():
    data = replace(DATA, test=None)
    first, second = generator_scores.compared(data)
    assert sorted([*first.index.tolist(), *second.index.tolist()]) == list(range(80)) and len(first) == len(second)
    assert torch.equal(second.gather(torch.tensor([3, 1])), TRAIN.gather(second.index[[3, 1]]))
    assert generator_scores.compared(DATA) == (TRAIN, REAL)
    told, settings = Source(asked=lambda i: i % 4), ScoreConfig(2300, 5, "average", 40, 2, 2)
    real = generator_scores.real_scores(data, NETWORK, settings, "cpu", labelled=True)
    result = generator_scores.score([told], second, real, NETWORK, settings, "cpu")
    features = [Gaussian.of(answers_of(images).features.double().numpy())
                for images in (brightness(0, 2300), TRAIN.gather(first.index), TRAIN.gather(second.index))]
    assert result.fid == pytest.approx(frechet_distance(features[0], features[2]))
    assert result.real.fid == pytest.approx(frechet_distance(features[1], features[2]))
    assert result.headline.class_agreement is not None
    assert result.generated_only_error is None is result.real.trained_errors, "their labels may have been learnt from"
    with pytest.raises(Mistake, match="more than the 40 real images, half of those there are"):
        generator_scores.check(replace(settings, splits=41), data.train, second)


def test_the_scores_are_those_of_all_samples_in_order():
    result = found()
    generated, features = (part.double().numpy() for part in answers_of(brightness(0, 2300)))
    real = answers_of(REAL.gather(torch.arange(40))).features.double().numpy()
    assert (result.inception_score, result.headline.std) == pytest.approx(metrics.inception_score(generated, 5))
    assert result.fid == pytest.approx(frechet_distance(Gaussian.of(features), Gaussian.of(real)))
    histogram = result.headline.histogram
    assert histogram.tolist() == np.bincount(generated.argmax(1), minlength=4).tolist()
    assert (result.headline.entropy, result.headline.entropy_share) == metrics.class_entropy(histogram)
    assert (result.settings.samples, result.settings.splits, result.settings.generator) == (2300, 5, "average")
    assert (result.network.name, result.network.error) == ("brightness", 0.25)


def test_images_are_asked_for_in_order_in_batches_and_passed_once():
    asked, passed = [], []

    def noted(start, count):
        asked.append((start, count))
        return brightness(start, count)

    def counted(x):
        passed.append(len(x))
        return answers_of(x)

    found(Source(noted), network=replace(NETWORK, answers=counted))
    assert asked == [(0, 1000), (1000, 1000), (2000, 300)]
    assert passed == [40, 80, 1000, 1000, 300], "test images, training images, generated ones"


def test_the_order_of_images_matters_to_the_splits_alone():
    one_way, other = found(Source(), splits=1), found(Source(lambda start, n: brightness(2300 - start - n, n).flip(0)),
                                                      splits=1)
    assert other.inception_score == pytest.approx(one_way.inception_score, rel=1e-9)
    assert other.fid == pytest.approx(one_way.fid, rel=1e-6)
    assert other.headline.histogram.tolist() == one_way.headline.histogram.tolist()


def test_fewer_real_images_than_samples_are_compared_at_their_own_count():
    result = found()
    assert (result.real.samples, result.real.test.count, result.real.fid_samples) == (40, 40, 80)
    assert result.headline.matched == pytest.approx(
        metrics.inception_score(probabilities_of(brightness(0, 40)).numpy(), 5)[0])
    enough = found(samples=30)
    assert (enough.real.samples, enough.headline.matched) == (30, enough.inception_score)
    assert (enough.real.test.count, enough.real.fid_samples) == (40, 30)


def test_real_images_are_shuffled_before_they_are_cut():
    result = found()
    in_order = metrics.inception_score(probabilities_of(REAL.gather(torch.arange(40))).numpy(), 5)[0]
    assert in_order < 1.8, "eight images of one or two classes each"
    assert result.real.inception_score > 2.2 and result.real.std < 1
    whole = found(splits=1)
    assert whole.real.inception_score == pytest.approx(metrics.inception_score(
        probabilities_of(REAL.gather(torch.arange(40))).numpy(), 1)[0])
    assert found().real.inception_score == result.real.inception_score, "always the same order"


def test_what_is_told_fits_into_json():
    result = found()
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    assert summary["samples_per_split"] == 460 and summary["score_network"] == "brightness"
    assert sum(summary["class_histogram"]) == 2300
    assert (summary["frechet_samples_real"], summary["test_images"]) == (80, 40)
    assert summary["generated_only_error"] is summary["generated_only_errors"] is summary["class_agreement"] is None
    assert list(summary["generators"]) == ["generator"]
    measured = result.measurements()
    assert measured["score/inception_score"] == result.inception_score and measured["score/network_error"] == 0.25
    assert measured["score/fid_real"] == result.real.fid
    assert all(type(value) is float for value in measured.values())
    assert not any("generated_only" in name or name.startswith("score/generator/") for name in measured)


def test_several_generators_are_scored_and_the_first_stands_for_the_run():
    first, second = Source(name="pictures", asked=lambda i: i % CLASSES), Source(lambda s, n: 0 * brightness(s, n))
    result = found(first, second)
    alone = [found(first), found(second)]
    assert list(result.generators) == ["pictures", "generator"]
    for one, name in zip(alone, result.generators):
        assert result.generators[name].summary() == one.headline.summary()
    summary, measured = result.summary(), result.measurements()
    assert summary["inception_score"] == summary["generators"]["pictures"]["inception_score"] != pytest.approx(1)
    assert summary["generators"]["generator"]["inception_score"] == pytest.approx(1)
    assert measured["score/pictures/fid"] == measured["score/fid"]
    assert measured["score/generator/fid"] > 2 * measured["score/fid"]
    assert "score/pictures/class_agreement" in measured and "score/generator/class_agreement" not in measured


@pytest.mark.parametrize(("asked", "share"), [(lambda i: i % 4, 1.0), (lambda i: (i + 1) % 4, 0.0),
                                              (lambda i: torch.where(i < 1000, i % 4, 9), 1000 / 2300)])
def test_the_agreement_is_the_share_that_has_the_class_asked_for(asked, share):
    result = found(Source(lambda start, n: CENTRES[torch.arange(start, start + n) % 4].view(-1, 1, 1, 1), asked))
    assert result.headline.class_agreement == pytest.approx(share)


def test_the_trained_classifier_itself_can_score_with_its_own_features():
    class Discriminator(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.output = torch.nn.Linear(1, 4)

        def forward(self, x, context):
            return probabilities_of(x).log(), x.mean((2, 3))

    result = found(network=scoring_network.itself(Discriminator()))
    assert result.inception_score == pytest.approx(found().inception_score)
    assert "itself" in result.network.name and result.network.error is None
    assert "score/network_error" not in result.measurements()
    assert result.real.test.mean == pytest.approx([REAL.gather(torch.arange(40)).mean().item()])


@pytest.mark.parametrize("source", [Source(lambda s, n: brightness(s, n) * float("nan")),
                                    Source(lambda s, n: brightness(s, n) + float("inf"))])
def test_broken_images_are_a_mistake(source):
    with pytest.raises(Mistake, match="not finite"):
        found(source)


def test_images_of_one_kind_score_one_and_cover_nothing():
    for same in (0.0, 0.35):  # zeros, and one class
        result = found(Source(lambda start, n, same=same: torch.full((n, 1, 2, 2), same)))
        assert result.inception_score == pytest.approx(1) and result.headline.std == pytest.approx(0)
        assert result.headline.entropy == pytest.approx(0) and result.fid > 10 * result.real.fid
        assert result.headline.covered.recall < 0.2 and result.headline.kid.mean > abs(result.real.kid.mean)


def test_kid_precision_and_recall_are_of_equally_many_images_and_may_be_off():
    result = found()
    generated, real = (answers_of(x).features for x in (brightness(0, 40), REAL.gather(order_of(40))))
    assert result.headline.covered == precision_recall(generated, real)
    assert result.headline.kid == kernel_distance(generated, real, 10)
    assert result.about()["feature_images"] == 40
    settings = ScoreConfig(2300, 5, train_images=0, feature_images=0)
    real = generator_scores.real_scores(DATA, NETWORK, settings, "cpu", labelled=False)
    off = generator_scores.score([Source()], REAL, real, NETWORK, settings, "cpu")
    assert off.headline.kid is off.headline.covered is None and off.summary()["precision"] is None
    assert off.fid == result.fid and not any("kid" in name for name in off.measurements())


def order_of(count: int) -> torch.Tensor:
    """The fixed order of real images."""
    return torch.randperm(count, generator=torch_generator(0, "real images"))


def test_a_list_sorted_by_class_scores_as_any_other_order_unless_it_is_taken_as_it_is():
    many = Images.of(REAL.pixels.repeat_interleave(20, 0), REAL.labels.repeat_interleave(20), REAL.classes)
    mixed = torch.randperm(800, generator=torch.Generator().manual_seed(1))
    other = Images.of(many.pixels[mixed], many.labels[mixed], many.classes)
    settings = ScoreConfig(800, 4, train_images=0)
    real = generator_scores.real_scores(DATA, NETWORK, settings, "cpu", labelled=False)

    def of(images, shuffled=True):
        source = ImageList("x", images, shuffled)
        return generator_scores.score([source], REAL, real, NETWORK, settings, "cpu").inception_score

    assert of(many) == pytest.approx(of(other), rel=0.01)
    assert of(many, shuffled=False) < 0.6 * of(many) and of(other, shuffled=False) == pytest.approx(of(many), rel=0.01)


def test_images_without_parts_are_all_compared_with_and_their_halves_stand_beside():
    settings = ScoreConfig(40, 2, train_images=0, order="listed")
    real = generator_scores.real_scores_of(REAL, NETWORK, settings)
    whole, first, second = (answers_of(REAL.gather(torch.arange(*ends))).features.double().numpy()
                            for ends in ((0, 40), (0, 20), (20, 40)))
    assert real.test.count == 40 and real.test.mean == pytest.approx(whole.mean(0)) and len(real.features) == 40
    assert real.test.covariance == pytest.approx(np.cov(whole, rowvar=False))
    assert real.fid == pytest.approx(frechet_distance(Gaussian.of(first), Gaussian.of(second)))
    assert (real.fid_samples, real.fid_against, real.features_compared) == (20, 20, 20)


def test_images_without_parts_are_held_against_each_other_at_the_count_of_those_that_are_scored():
    settings = ScoreConfig(15, 2, train_images=0)
    real = generator_scores.real_scores_of(REAL, NETWORK, settings)
    assert (real.fid_samples, real.fid_against, real.features_compared, real.test.count) == (15, 25, 15, 40)
    ours = generator_scores.score([ImageList("x", REAL)], REAL, real, NETWORK, settings, "cpu").summary()
    about = ours["score_settings"]
    assert ours["frechet_samples_real"] == about["feature_images"] == about["feature_images_real"] == 15
    assert ours["test_images_real"] == 25 and ours["test_images"] == 40


def test_another_imagenet_networks_score_has_a_name_of_its_own():
    result = found(network=replace(NETWORK, kind="efficientnet", weights="ab", resizing="to 9", grey="repeated"))
    summary, measured = result.summary(), result.measurements()
    assert summary["inception_score"] is None and summary["efficientnet_score"] == result.inception_score
    assert "efficientnet_score" in summary["generators"]["generator"] and summary["network"] == "efficientnet"
    assert not any("inception" in name for name in measured) and measured["score/efficientnet_score_real"] > 1
    assert summary["class_histogram"] is None and "score/class_entropy" not in measured
    assert {name: summary["score_settings"][name] for name in ("weights_sha256", "resizing", "grey")} == {
        "weights_sha256": "ab", "resizing": "to 9", "grey": "repeated"}


def test_scores_under_their_older_names_are_read_and_told():
    old = {"frechet_distance": 3.0, "generators": {"generator": {"frechet_distance": 2.0}}}
    assert today(old) == {"fid": 3.0, "generators": {"generator": {"fid": 2.0}}}
    assert today({"score/frechet_distance_real": 1.0}, "score/") == {"score/fid_real": 1.0}
    assert with_old_names({"fid": 3.0}) == {"fid": 3.0, "frechet_distance": 3.0}


@pytest.mark.parametrize(("settings", "told"), [
    (ScoreConfig(splits=50), r"splits = 50 is more than the 40 real test images: try --set score.splits=1\."),
    (ScoreConfig(samples=20, splits=30), r"splits = 30 is more than the 20 images to be split"),
    (ScoreConfig(train_images=3), r"train_images = 3 is less than one for each of the 4 classes")])
def test_what_cannot_be_scored_is_a_mistake_with_the_cheapest_way_out(settings, told):
    with pytest.raises(Mistake, match=told) as mistake:
        generator_scores.check(settings, TRAIN, REAL)
    assert "\nWhere the run is trained already: ssgan score RUN --set score." in str(mistake.value)
    with pytest.raises(Mistake, match=r"\.\nIt is trained already: ssgan score 0123abcd --set score\.\w+=\d+$"):
        generator_scores.check(settings, TRAIN, REAL, "0123abcd")
    generator_scores.check(ScoreConfig(splits=40, train_images=4), TRAIN, REAL)
    generator_scores.check(ScoreConfig(train_images=0), TRAIN, REAL)


def test_a_source_that_is_told_no_class_is_not_learnt_from(monkeypatch):
    monkeypatch.setattr(generator_scores, "errors_of_real", lambda *_: pytest.fail("nobody asked for it"))
    result = found(train_images=100)
    assert result.generated_only_error is None and result.real.trained_errors is None


def test_real_images_as_a_source_score_as_the_real_data(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    digits, begun = small.digits(), []
    network = domain_classifier.domain_classifier(digits.train, digits.test, "cpu")
    order = torch.randperm(len(digits.train), generator=torch.Generator().manual_seed(3))
    perfect = Source(lambda start, n: digits.train.gather(order[torch.arange(start, start + n) % len(order)]),
                     lambda i: digits.train.labels[order[i % len(order)]])
    settings = ScoreConfig(samples=360, splits=3, train_images=1437, train_epochs=30, trainings=2)

    def watched(stage):
        steps = []
        begun.append((stage, steps))
        return lambda done, total: steps.append((done, total))

    real = generator_scores.real_scores(digits, network, settings, "cpu", labelled=True, watched=watched)
    result = generator_scores.score([perfect], digits.test, real, network, settings, "cpu", watched)
    assert result.inception_score == pytest.approx(real.inception_score, abs=0.4)
    assert result.fid == pytest.approx(real.fid, rel=0.3)
    assert result.headline.class_agreement > 0.99
    errors = result.headline.generated_only_errors
    assert len(errors) == len(real.trained_errors) == 2 and max(errors + real.trained_errors) < 0.08
    assert result.generated_only_error == pytest.approx(np.mean(real.trained_errors), abs=0.02)
    assert [stage for stage, _ in begun] == ["trained on real images", "trained on generated images"]
    assert all(steps == sorted(steps) and steps[-1] == (336, 336) for _, steps in begun)
    summary = result.summary()
    assert summary["generated_only_error_real"] == pytest.approx(np.mean(real.trained_errors))
