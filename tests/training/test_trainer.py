"""The trainer: lanes as solo runs, states put back bit for bit, measurements, precision. (Its step: test_step.py.)"""

import plain_networks
import pytest
import small
import torch

from ssgan.config import override
from ssgan.data.images import Images
from ssgan.models import build_discriminator, build_generator
from ssgan.random_streams import torch_generator
from ssgan.techniques import augmentation as augment
from ssgan.training import checkpoint as checkpoints
from ssgan.training import trainer as trainer_module
from ssgan.training.execution import size_of
from ssgan.training.lanes import tree_leaves
from ssgan.training.trainer import Failure, Trainer

FULL = ["augment.shift=1", "augment.rotation=10", "consistency.weight=1", "consistency.threshold=0.4",
        "consistency.start=0"]
DIGITS = override(small.MLP, ["train.batch=20", "model.widths=[30, 20]", "model.generator_widths=[20, 20]", *FULL])
RECIPES = {"mlp": override(small.MLP, FULL), "conv": override(small.CONV, FULL),
           "no generator": override(small.MLP, ["gan.weight=0"])}


def run(trainer: Trainer, steps: int) -> Trainer:
    for _ in range(steps):
        trainer.step()
    return trainer


def everything(trainer: Trainer) -> list[torch.Tensor]:
    """All tensors of a trainer's state."""
    return list(tree_leaves(trainer.state))


def drawn_tensors(trainer: Trainer) -> list[torch.Tensor]:
    """All that is random in the opened step, but the labels."""
    drawn = [update for updates in trainer._draw().values() for update in updates]
    return [x for each in drawn
            for x in tree_leaves({key: value for key, value in each.items() if key not in ("labels", "plain", "shares")})]


def equal(one: Trainer, other: Trainer) -> bool:
    """Whether two trainers are the same bit for bit."""
    return one.done == other.done and all(map(torch.equal, everything(one), everything(other)))


def test_lanes_of_different_seeds_and_budgets_are_their_solo_runs():
    seeds, budgets = (0, 1, 7), (20, 50, 100)
    together = run(small.trainer(DIGITS, seeds=seeds, data=small.digits(), labels=budgets), 10)
    for lane, (seed, budget) in enumerate(zip(seeds, budgets)):
        alone = run(small.trainer(DIGITS, seeds=(seed,), data=small.digits(), labels=(budget,)), 10)
        for mine, solo in zip(everything(together), everything(alone)):
            if mine.dim():  # not Adam's count of steps
                torch.testing.assert_close(mine[lane], solo[0], rtol=0, atol=1e-9)


def test_a_convolutional_group_is_its_solo_runs():
    together = run(small.trainer(RECIPES["conv"], seeds=(3, 4)), 4)
    for lane, seed in enumerate((3, 4)):
        alone = run(small.trainer(RECIPES["conv"], seeds=(seed,)), 4)
        for mine, solo in zip(*map(small.weights_and_averages, (together, alone))):
            torch.testing.assert_close(mine[lane], solo[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("family", ["mlp", "conv"])
def test_in_fp32_one_step_of_a_group_is_that_of_solo_runs(family):
    """Losses and moments; of the weights Adam's first step takes the sign alone, in which the last bits may decide."""
    recipe = RECIPES[family]
    together = run(small.trainer(recipe, small.FP32, (3, 4, 5)), 1)
    for lane, seed in enumerate((3, 4, 5)):
        alone = run(small.trainer(recipe, small.FP32, (seed,)), 1)
        torch.testing.assert_close(together.sums[lane], alone.sums[0], rtol=1e-5, atol=1e-6)
        for player in small.PLAYERS:
            mine, solo = (trainer.state["players"][player]["adam"]["exp_avg"] for trainer in (together, alone))
            torch.testing.assert_close(mine[lane], solo[0], rtol=1e-4, atol=1e-5 * solo.abs().max().item())


@pytest.mark.parametrize("resolved", [small.FP32, small.BF16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_state_put_back_into_a_new_trainer_goes_on_bit_for_bit(tmp_path, recipe, resolved):
    whole = small.trainer(RECIPES[recipe], resolved, (3, 4))
    stopped = run(small.trainer(RECIPES[recipe], resolved, (3, 4)), 3)
    checkpoints.save(tmp_path / "state.pt", stopped.checkpoint())
    resumed = small.trainer(RECIPES[recipe], resolved, (3, 4))
    for value in everything(resumed):
        value.zero_()  # nothing of its own may be left
    resumed.restore(checkpoints.load(tmp_path / "state.pt"))
    assert resumed.first == resumed.done == 3 and equal(resumed, stopped)
    assert equal(run(resumed, 2), run(whole, 5))


def as_schema_1(checkpoint: dict) -> dict:
    """A checkpoint as it was written before the state was a tree."""
    players = [checkpoint["players"][player] for player in small.PLAYERS]
    plain = {key: checkpoint[key] for key in ("done", "seconds", "sums", "first_bad")}
    lists = {"averages": "average", "flat": "weights", "adam": "adam"}
    return plain | {key: [player[name] for player in players] for key, name in lists.items()} | {
        "fixed": players[0]["buffers"]}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_checkpoint_of_before_the_tree_goes_on_bit_for_bit(tmp_path, recipe):
    whole, stopped, resumed = (small.trainer(RECIPES[recipe], small.BF16, (3, 4)) for _ in range(3))
    checkpoints.save(tmp_path / "state.pt", as_schema_1(run(stopped, 3).checkpoint()))
    resumed.restore(checkpoints.load(tmp_path / "state.pt"))
    assert equal(resumed, stopped) and equal(run(resumed, 2), run(whole, 5))


def test_a_trainer_is_a_function_of_its_seeds():
    first, again, other = (run(small.trainer(RECIPES["mlp"], seeds=(3, seed)), 3) for seed in (4, 4, 5))
    assert equal(first, again)
    assert torch.equal(small.weights(first)[0], small.weights(other)[0])
    assert not torch.equal(small.weights(first)[1], small.weights(other)[1])


def test_lanes_of_one_split_and_two_seeds_share_nothing_random():
    recipe, data = RECIPES["mlp"], small.dataset()
    table = small.split(recipe, data)
    trainer = Trainer(recipe, data.train, [table, table], [0, 1], small.FP64)
    trainer.feed.open(0, trainer.gan.trained)
    tensors = [*drawn_tensors(trainer), *(small.weights(trainer, player) for player in small.PLAYERS)]
    assert len(tensors) == 3 + 1 + 2 + 3 * 3 + 2 and not any(torch.equal(first, second) for first, second in tensors)


def test_every_step_changes_every_kind_of_image_anew(monkeypatch):
    seen = []
    original = augment.warp
    monkeypatch.setattr(augment, "warp", lambda x, draw, config: (seen.append(draw), original(x, draw, config))[1])
    run(small.trainer(RECIPES["mlp"], seeds=(0, 1)), 3)
    draws = torch.cat(seen)
    assert draws.shape == (3 * 3 * 2 * 10, 6) and len(draws.unique(dim=0)) == len(draws)
    assert draws.min() >= -1 and draws.max() <= 1 and draws.mean().abs() < 0.1


def test_every_step_draws_anew():
    trainer, drawn = small.trainer(RECIPES["mlp"]), []
    for step in (0, 1):
        trainer.feed.open(step, trainer.gan.trained)
        drawn.append(drawn_tensors(trainer))
    everything = drawn[0] + drawn[1]
    assert not any(torch.equal(a, b) for i, a in enumerate(everything) for b in everything[:i])


@pytest.mark.parametrize(
    ("epochs", "batch", "steps"), [(2, 10, 12), (0.5, 10, 3), (0.001, 10, 1), (3, 7, 24), (2, 50, 2), (2.01, 10, 13)])
def test_epochs_become_steps(epochs, batch, steps):
    assert small.trainer(override(small.MLP, [f"train.epochs={epochs}", f"train.batch={batch}"])).steps == steps


@pytest.mark.parametrize("wanted", [20, 500])
def test_the_initialisation_sees_random_images_of_the_pool_once_each(monkeypatch, wanted):
    recipe = override(small.MLP, ["split.validation=20", f"train.initialise_images={wanted}"])
    gathered = []
    gather = Images.gather
    monkeypatch.setattr(Images, "gather", lambda self, index, **more: (
        gathered.append(index), gather(self, index, **more))[1])
    trainer = small.trainer(recipe, seeds=(0, 1))
    assert [len(index) for index in gathered] == [min(wanted, 40)] * 2
    for index, split in zip(gathered, trainer.splits):
        assert len(set(index.tolist())) == len(index) and set(index.tolist()) <= set(split.unlabelled.tolist())
    assert sorted(gathered[0].tolist()) != gathered[0].tolist()


def test_the_initialisation_is_with_noise():
    quiet, noisy = (small.trainer(override(small.MLP, [f"model.input_noise={std}"])) for std in (0, 0.3))
    first = "hidden.0.direction"
    quiet, noisy = (small.lane_weights(trainer, "discriminator", small.weights(trainer), 0)
                    for trainer in (quiet, noisy))
    assert torch.equal(quiet[first], noisy[first])
    assert (noisy["hidden.0.scale"] < quiet["hidden.0.scale"]).all(), "more variance, less scale"


def test_what_is_read_are_means_since_the_last_reading(monkeypatch):
    monkeypatch.setattr(trainer_module, "RECORD_STEPS", 4)
    trainer, twin = small.trainer(RECIPES["mlp"], seeds=(0, 1)), small.trainer(RECIPES["mlp"], seeds=(0, 1))
    for steps in (4, 4, 2):
        values = []
        for _ in range(steps):
            twin.step()
            values.append(twin.sums.clone())
            twin.sums.zero_()
        run(trainer, steps)
        means = torch.stack(values).mean(0)  # [r, m]
        assert trainer.read() == {name: pytest.approx(means[:, i].tolist(), abs=1e-12)
                                  for i, name in enumerate(trainer.names)}


def test_the_first_value_that_is_not_finite_is_named_with_its_lane_and_step():
    trainer = run(small.trainer(RECIPES["mlp"], seeds=(0, 1, 2)), 2)
    assert trainer.failures() == []
    small.spoil(trainer, 2, "generator")
    run(trainer, 1)
    small.spoil(trainer, 1, value=float("inf"))
    run(trainer, 2)
    assert trainer.failures() == [Failure(1, 3, "labelled_loss"), Failure(2, 2, "unlabelled_loss")]


@pytest.mark.parametrize("averaging", ["corrected", "zero-start"])
def test_teaching_before_the_first_update_is_finite(averaging):
    trainer = run(small.trainer(
        override(small.MLP, [*FULL, f"train.averaging={averaging}", "consistency.threshold=0"])), 2)
    assert trainer.failures() == [] and trainer.sums.isfinite().all()


@pytest.mark.parametrize("family", ["mlp", "conv"])
def test_averaged_logits_are_those_of_the_averaged_weights_without_noise(family):
    trainer = run(small.trainer(RECIPES[family], seeds=(0, 1)), 3)
    index = torch.tensor([[0, 5, 9], [1, 2, 3]])
    logits = trainer.averaged_logits(trainer.images.gather(index, dtype=torch.float64))
    for lane in range(2):
        x = trainer.images.gather(index[lane], dtype=torch.float64)
        weights = small.lane_weights(trainer, "discriminator", small.weights(trainer, what="average"), lane)
        torch.testing.assert_close(logits[lane], plain_networks.discriminator(trainer.recipe, weights, x, None)[0],
                                   rtol=0, atol=1e-12)


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("family", ["mlp", "conv"])
def test_states_of_lanes_load_into_the_networks(family, average):
    trainer = run(small.trainer(RECIPES[family], small.FP32, (0, 1)), 3)
    modules = (build_discriminator(trainer.recipe.model, trainer.images.shape, 4, torch_generator(9)),
               build_generator(trainer.recipe.model, trainer.images.shape, torch_generator(9)))
    for player, module in zip(small.PLAYERS, modules):
        module.load_state_dict(trainer.lane(player, 1, average=average))
        flat = small.weights(trainer, player, "average" if average else "weights")
        for name, value in small.lane_weights(trainer, player, flat, 1).items():
            assert torch.equal(module.state_dict()[name], value)


def test_bf16_is_fp32_but_for_the_rounding():
    """Without noise, which is drawn otherwise in bf16: the first step's losses and averaged gradients agree to bf16's 8
    bits.

    Units at a kink, and first steps of Adam that turn on a rounded sign, move single seeds of such small networks: the
    median counts.
    """
    recipe = override(small.MLP, ["model.input_noise=0", "model.hidden_noise=0", "model.widths=[64, 32]",
                                  "model.generator_widths=[32, 32]", "train.batch=64"])
    exact, rough = (run(small.trainer(recipe, resolved, range(9)), 1) for resolved in (small.FP32, small.BF16))
    assert small.weights(rough).dtype == small.weights(rough, what="average").dtype == rough.sums.dtype == torch.float32
    for name, a, b in zip(exact.names, exact.sums.T, rough.sums.T):
        assert (a - b).abs().median() <= 0.1 if name == "labelled_error" else ((a - b).abs() / a).median() < 0.03, name
    for player in small.PLAYERS:
        a, b = (trainer.state["players"][player]["adam"]["exp_avg"] for trainer in (exact, rough))
        assert 0 < ((a - b).norm(dim=1) / a.norm(dim=1)).median() < 0.1
    assert not torch.equal(small.weights(exact), small.weights(rough))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_pairs_size_is_known_without_making_it(recipe):
    trainer = small.trainer(RECIPES[recipe])
    assert size_of(trainer.recipe,
                   trainer.images).parameters == sum(small.weights(trainer, player).numel() for player in small.PLAYERS)


def test_training_learns():
    """The digits' labelled loss falls in three epochs, and the averaged classifier beats chance by far."""
    recipe = override(DIGITS, ["train.epochs=3", "consistency.weight=0", "augment.shift=0", "augment.rotation=0",
                               "train.averaging_rate=0.05"])
    trainer = small.trainer(recipe, small.FP32, data=small.digits(), labels=(100,))
    run(trainer, 20)
    before = trainer.sums[0, 0].item() / 20
    trainer.sums.zero_()
    run(trainer, trainer.steps - 20)
    assert trainer.sums[0, 0].item() / (trainer.steps - 20) < before / 2
    test = small.digits().test
    logits = trainer.averaged_logits(test.gather(torch.arange(len(test)))[None])[0]
    assert (logits.argmax(1) != test.labels).double().mean().item() < 0.25
