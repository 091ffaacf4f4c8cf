"""The picture player: against a plain pair of networks, its classifier untouched, and what it is shown."""

import dataclasses

import pytest
import small
import torch
from torch import nn
from torch.nn import functional

from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.experiments.group_training import explain
from ssgan.experiments.interrupt import Stop
from ssgan.experiments.member import Group, Member
from ssgan.experiments.progress import Progress
from ssgan.experiments.run import Setting, run_group, summary
from ssgan.models.context import Context
from ssgan.training import checkpoint
from ssgan.training.lanes import tree_leaves, tree_map
from ssgan.training.loop import Interrupted, Record, Sheet, run_to_end
from ssgan.training.trained_model import TrainedModel
from ssgan.training.trainer import Failure

STEPS = 12
WITH = override(small.MLP, [f"pictures.steps={STEPS}", "pictures.batch=6", "pictures.latent=3", "pictures.threshold=0.3",
                            "pictures.critic_widths=[8, 5]", "pictures.generator_widths=[7, 9]"])
CLASSES = 4


class PlainCritic(nn.Module):
    """Classes are joined to the input of every layer as further numbers."""

    def __init__(self, state: dict[str, torch.Tensor]):
        super().__init__()
        names = ["hidden.0", "hidden.1", "output"]
        self.layers = nn.ModuleList(dense(state, name) for name in names)

    def forward(self, x, labels, noise):
        x, told = (x + 0.3 * noise).flatten(1), functional.one_hot(labels, CLASSES).double()
        for layer in self.layers[:-1]:
            x = functional.leaky_relu(layer(torch.cat([x, told], 1)), 0.2)
        return self.layers[-1](torch.cat([x, told], 1))[:, 0]


class PlainGenerator(nn.Module):
    """torch's own batch norm."""

    def __init__(self, state: dict[str, torch.Tensor]):
        super().__init__()
        self.first, self.hidden, self.output = (dense(state, name) for name in ("hidden.0", "hidden.1", "output"))
        self.norms = nn.ModuleList(nn.BatchNorm1d(n, dtype=torch.float64) for n in (7, 9))

    def forward(self, latent, labels):
        x = torch.cat([latent, functional.one_hot(labels, CLASSES).double()], 1)
        x = self.norms[0](self.first(x)).relu()
        x = self.norms[1](self.hidden(x)).relu()
        return self.output(x).sigmoid().view(-1, 2, 6, 8)


def dense(state, name: str) -> nn.Linear:
    """torch's own layer with these weights."""
    weight = state[f"{name}.weight"]
    layer = nn.Linear(weight.shape[1], len(weight), bias=f"{name}.bias" in state, dtype=torch.float64)
    layer.load_state_dict({key: state[f"{name}.{key}"] for key in layer.state_dict()})
    return layer


def to_pictures(recipe=WITH, resolved=small.FP64, **settings):
    """A trainer whose classifier has been trained."""
    trainer = small.trainer(recipe, resolved, **settings)
    while trainer.done < trainer.gan.steps:
        trainer.step()
    return trainer


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_it_is_a_plain_pair_of_networks(compiled):
    if compiled:
        small.need_compiler()
    trainer = to_pictures(resolved=dataclasses.replace(small.FP64, compiled=compiled))
    networks = [make(small.lane_weights(trainer, name, small.weights(trainer, name), 0))
                for make, name in ((PlainCritic, "critic"), (PlainGenerator, "pictures"))]
    adams = [torch.optim.Adam(network.parameters(), 4e-4, (0.5, 0.99)) for network in networks]
    critic, generator = networks
    real, labels = trainer.images.pixels.double() / 255, trainer.images.labels
    state, history = trainer.state["techniques"]["pictures"], []
    for step in range(10):
        trainer.feed.open(trainer.done, ("critic", "pictures"))
        drawn = {name: tree_map(lambda x: x[0], each[0]["techniques"]["pictures"])
                 for name, each in trainer._draw().items()}
        its = drawn["critic"]
        chosen = [min(int(float(place) * int(state["count"])), int(state["count"]) - 1) for place in its["places"]]
        shown, under = state["index"][0, chosen], state["labels"][0, chosen]
        trainer.step()
        measured = trainer.read() if trainer.record_due else None
        fake = generator(its["latent"], its["classes"]).detach()
        noise = its["noise"].chunk(2)
        right = torch.log1p(torch.exp(-critic(real[shown], under, noise[0]))).mean()
        loss = right + torch.log1p(torch.exp(critic(fake, its["classes"], noise[1]))).mean()
        adams[0].zero_grad()
        loss.backward()
        adams[0].step()
        its = drawn["pictures"]
        lie = torch.log1p(torch.exp(-critic(generator(its["latent"], its["classes"]), its["classes"], its["noise"])))
        adams[1].zero_grad()
        lie.mean().backward()
        adams[1].step()
        history.append(weights_of(generator))
        assert measured is None and len(labels) == 60
    for make, name, network in ((PlainCritic, "critic", critic), (PlainGenerator, "pictures", generator)):
        found = make(small.lane_weights(trainer, name, small.weights(trainer, name), 0))
        for (key, value), mine in zip(found.named_parameters(), network.parameters()):
            if not key.startswith("norms"):
                torch.testing.assert_close(value, mine, rtol=0, atol=1e-9, msg=lambda text: f"{name}.{key}: {text}")
    shares = [0.999 ** (9 - i) for i in range(10)]
    average = sum(share * each for share, each in zip(shares, history)) / sum(shares)
    mine = PlainGenerator(small.lane_weights(trainer, "pictures", small.weights(trainer, "pictures", "average"), 0))
    torch.testing.assert_close(weights_of(mine), average, rtol=0, atol=1e-9)


def weights_of(generator: PlainGenerator) -> torch.Tensor:
    layers = (generator.first, generator.hidden, generator.output)
    return torch.cat([layer.weight.detach().flatten() for layer in layers])


def test_the_classifier_is_bit_for_bit_that_without_it():
    without = small.trainer(small.MLP, small.FP32)
    while without.done < without.steps:
        without.step()
    trainer = to_pictures(resolved=small.FP32)
    assert trainer.steps == without.steps + STEPS
    while trainer.done < trainer.steps:
        trainer.step()
    for mine, its in zip(small.weights_and_averages(trainer), small.weights_and_averages(without)):
        assert torch.equal(mine, its)


def test_lanes_draw_as_alone():
    seeds, budgets = (0, 3, 4), (8, 8, 12)
    together = to_pictures(seeds=seeds, labels=budgets)
    for _ in range(10):
        together.step()
    for lane, (seed, budget) in enumerate(zip(seeds, budgets)):
        alone = to_pictures(seeds=(seed,), labels=(budget,))
        for _ in range(10):
            alone.step()
        for player in ("critic", "pictures"):
            torch.testing.assert_close(small.weights(together, player)[lane], small.weights(alone, player)[0], rtol=0,
                                       atol=1e-9)


def test_shown_are_known_and_confident_images_alone():
    trainer = to_pictures(override(WITH, ["pictures.threshold=0.5"]))
    state, split = trainer.state["techniques"]["pictures"], trainer.splits[0]
    count = int(state["count"])
    index, labels = (state[name][0, :count] for name in ("index", "labels"))
    logits = trainer.averaged_logits(trainer.images.pixels.double()[None] / 255)[0]
    probability, answers = logits.softmax(1).max(1)
    known = torch.zeros(60, dtype=torch.bool)
    known[torch.from_numpy(split.labelled)] = True
    expected = known | (probability >= 0.5)
    assert index.tolist() == expected.nonzero()[:, 0].tolist() and 8 < count < 60
    right = torch.where(known, trainer.images.labels, answers)
    assert labels.tolist() == right[index].tolist()


def test_every_image_that_is_shown_is_as_likely():
    trainer = to_pictures(override(WITH, ["pictures.batch=20", "pictures.steps=400"]))
    seen = torch.zeros(60)
    for step in range(trainer.gan.steps, trainer.gan.steps + 400):
        trainer.feed.open(step, ("critic", "pictures"))
        its = trainer._draw()["critic"][0]
        for image, label in zip(its["images"]["confident"][0], its["labels"]["confident"][0]):
            place = int(((image * 255).round() == trainer.images.pixels).flatten(1).all(1).nonzero()[0, 0])
            seen[place] += 1
            state = trainer.state["techniques"]["pictures"]
            assert label == state["labels"][0, state["index"][0].tolist().index(place)]
    shown = seen[seen > 0]
    assert len(shown) == int(trainer.state["techniques"]["pictures"]["count"])
    expected = 8000 / len(shown)
    assert ((shown - expected) ** 2 / expected).sum() < 2 * len(shown)


def test_images_do_not_depend_on_their_company():
    trainer = to_pictures(resolved=small.FP32)
    for _ in range(8):
        trainer.step()
    model = TrainedModel.of_trainer(trainer)
    sampler, generator = model.sampler(), model.further_generator("pictures")
    assert list(model.samplers()) == ["pictures", "generator"] and sampler.name == "pictures"
    images, labels = sampler.images(0, 40), sampler.labels(0, 40)
    assert images.shape == (40, 2, 6, 8) and images.min() >= 0 and images.max() <= 1
    assert torch.equal(sampler.images(5, 17), images[5:22])
    for label in range(CLASSES):
        only = model.sampler(label=label)
        same = labels == label
        assert same.any() and set(only.labels(0, 40).tolist()) == {label}
        torch.testing.assert_close(only.images(0, 40)[same], images[same])
    latent = torch.randn(2000, 3)
    with torch.no_grad():
        told = Context(labels=torch.arange(2000) % CLASSES)
        alone = generator(latent[:1], Context(labels=told.labels[:1]))
        torch.testing.assert_close(alone, generator(latent, told)[:1])
        settled = generator(latent, told)
        of_batch = generator.train()(latent, told)
    assert (settled - of_batch).abs().mean() < 0.01, "the settled statistics are those of many images"


def test_it_goes_on_from_a_checkpoint_in_any_of_its_steps(tmp_path):
    whole = small.trainer(WITH, small.FP32)
    list(run_to_end(whole, None))
    for stop in (3, whole.gan.steps - 1, whole.gan.steps, whole.gan.steps + 5):
        path, asked = tmp_path / f"{stop}.pt", []
        first = small.trainer(WITH, small.FP32)
        with pytest.raises(Interrupted):
            for _ in run_to_end(first, path, should_stop=lambda first=first, stop=stop: first.done >= stop):
                asked.append(1)
        assert checkpoint.load(path)["done"] == stop
        again = small.trainer(WITH, small.FP32)
        list(run_to_end(again, path))
        assert again.done == whole.done == whole.steps
        for mine, its in zip(tree_leaves(again.state["players"]), tree_leaves(whole.state["players"]), strict=True):
            assert torch.equal(mine, its)


def test_what_is_measured_belongs_to_the_players_of_its_steps():
    trainer = small.trainer(WITH, small.FP32)
    trainer.record_steps = 5
    events = list(run_to_end(trainer, None))
    records = [event for event in events if isinstance(event, Record)]
    ends = [record.step for record in records]
    assert trainer.gan.steps == 12 and ends == [5, 10, 12, 15, 20, 24]
    for record in records:
        losses = {"critic_loss", "pictures_loss"}
        assert losses == set(record.values) if record.step > 12 else not losses & set(record.values)
        assert all(values[0] != 0 for name, values in record.values.items() if name in losses)
    pair = sum(record.values["critic_loss"][0] * count for record, count in zip(records[3:], (3, 5, 4)))
    assert 1.0 < pair / 12 < 2.0, "two sure losses of log 2 each at the start"
    sheets = [event for event in events if isinstance(event, Sheet)]
    assert sheets[-1].step == 24 and sheets[-1].images.shape == (1, 100, 2, 6, 8)


def test_it_waits_where_few_images_are_sure():
    recipe = override(WITH, ["pictures.threshold=1", "pictures.batch=50"])
    trainer = small.trainer(recipe, small.FP32, seeds=(0, 1))
    events = list(run_to_end(trainer, None))
    assert trainer.done == trainer.steps == trainer.gan.steps and events[-1].step == trainer.gan.steps
    for lane in range(2):
        assert "8 images have a known class" in trainer.waiting[lane] and "pictures.batch = 50" in trainer.waiting[lane]
        assert list(TrainedModel.of_trainer(trainer, lane).samplers()) == ["generator"]


def test_a_lane_that_waits_lets_the_others_draw():
    recipe = override(WITH, ["pictures.threshold=1", "pictures.batch=10"])
    trainer = small.trainer(recipe, small.FP32, seeds=(0, 1), labels=(8, 12))
    list(run_to_end(trainer, None))
    assert trainer.done == trainer.gan.total and [bool(said) for said in trainer.waiting] == [True, False]
    models = [TrainedModel.of_trainer(trainer, lane) for lane in range(2)]
    assert [list(model.samplers()) for model in models] == [["generator"], ["pictures", "generator"]]


def test_one_class_alone_is_a_mistake():
    one = small.dataset(count=20, classes=1)
    with pytest.raises(Mistake, match=r"\[pictures\] needs images of at least 2 classes.*pictures.steps=0"):
        small.trainer(override(WITH, ["labels=4"]), data=one, labels=(4,))


def test_a_classifier_that_couples_its_batch_answers_too():
    recipe = override(WITH, ["model.minibatch_kernels=3", "pictures.threshold=0"])
    trainer = to_pictures(recipe, small.FP32, seeds=(0, 1))
    for lane in range(2):
        state = {name: value[lane] for name, value in trainer.state["techniques"]["pictures"].items()}
        images = trainer.images.gather(state["index"]).expand(2, -1, -1, -1, -1)
        answers = trainer.averaged_logits(images)[lane].argmax(1)
        known = torch.isin(state["index"], torch.from_numpy(trainer.splits[lane].labelled))
        assert int(state["count"]) == 60 and torch.equal(state["labels"][~known], answers[~known])


def test_what_may_help_a_pair_that_diverges_is_its_own_rate():
    group = Group([Member(WITH, 0, 0)], [], small.dataset(), small.FP32, Progress(quiet=True), Stop())
    assert "pictures.learning_rate=0.00013" in explain(Failure(0, 14, "critic_loss"), group)
    assert "train.learning_rate=0.001" in explain(Failure(0, 4, "labelled_loss"), group)


def test_a_run_without_another_generator_that_waits_is_finished_without_a_score(tmp_path):
    recipe = override(WITH, ["gan.weight=0", "pictures.batch=50", "pictures.threshold=1", "evaluate.classical=false",
                             "evaluate.supervised=false", "score.samples=10", "score.splits=2"])
    setting = Setting(tmp_path / "work", None, "cpu", progress=Progress(quiet=True))
    folder, = run_group([Member(recipe, 0, 0)], small.dataset(shape=(1, 6, 8)), setting)
    found = summary(folder)
    assert found["status"] == "FINISHED" and found["inception_score"] is None
    assert "8 images have a known class" in found["waiting"]
