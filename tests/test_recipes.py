"""The shipped recipes and their contracts; recipes from files."""

import re
import shlex
from pathlib import Path

import pytest
import small
import torch

from ssgan import recipes, settings
from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.evaluation import domain_classifier, figures
from ssgan.evaluation.baselines import NO_GENERATOR, trained_without
from ssgan.experiments.member import Member
from ssgan.experiments.progress import Progress
from ssgan.experiments.run import Setting, run_group, stages_of, summary
from ssgan.settings import flatten
from ssgan.techniques import draws_images

SHIPPED = recipes.names()
# of the sources' recipes for pictures, what stands in the place of feature matching: the source has it not
PICTURES = {"dcgan-mnist", "dcgan-cifar10", "wgan-gp-mnist", "sngan-mnist", "msg-mnist", "salimans2016-mnist-pictures"}
SHAPES = {"digits": (1, 8, 8), "cifar10": (3, 32, 32), "svhn": (3, 32, 32), "stl10": (3, 96, 96)}  # others: 28
NARROW = {  # what takes seconds a step
    "conv9": ["model.widths=[4, 4, 4, 6, 6, 6, 6, 6, 6]", "model.generator_widths=[8, 6, 4]"],
    "imagenet128": ["model.widths=[4, 4, 4, 5, 4, 6, 6, 9]", "model.generator_widths=[8, 6, 4, 4]", "model.latent=7",
                    "model.minibatch_kernels=4"]}


def test_the_recipes_are_the_files_of_pipelines():
    folder = Path(__file__).parent.parent / "pipelines"
    assert SHIPPED == sorted(path.stem for path in folder.glob("*.toml"))
    assert {"digits", "mnist", "mnist-best", "fashion-mnist", "salimans2016-mnist"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_have_todays_names(name):
    recipes.read(name)
    assert settings.old_names() == []


@pytest.mark.parametrize("name", SHIPPED)
def test_a_recipe_opens_with_its_contract(name):
    found = recipes.read(name)
    title, blank, command, blank_too, *contract = found.text.split("\n\n")[0].splitlines()
    assert title == f"# {found.title}" and len(found.title) > 20
    assert blank == blank_too == "#"
    assert [re.fullmatch(r"# (\w+) +(\S.*)", line)[1] for line in contract] == ["machine", "time", "expected", "paper"]

    program, verb, *options = shlex.split(command.removeprefix("#"))
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert (program, verb) == ("ssgan", "run")
    dataset = given.get("--dataset", found.recipe.dataset)
    assert given.get("--recipe", dataset.partition(":")[0]) == name, "the command runs this recipe"
    assert dataset == found.recipe.dataset or (dataset, found.recipe.dataset) == ("folder:photos", "folder:.")
    assert int(given.get("--labels", 0)) == found.recipe.labels


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_is_valid_and_named_as_its_file(name):
    found = recipes.read(name)
    assert found.name == name and isinstance(found.evidence, dict)
    assert found.recipe.dataset in ("mnist", "fashion-mnist", "folder:.", "npz:features.npz", *SHAPES)


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "features"])
def test_a_shipped_recipe_trains_a_gan_scores_its_images_and_shows_no_generator_beside(name):
    recipe = recipes.read(name).recipe
    assert recipe.gan.weight >= 0.1
    of_pictures = name in PICTURES or name == "salimans2016-imagenet128"
    assert (recipe.feature_matching.weight, recipe.adversarial.weight) == ((0, 1) if of_pictures else (1, 0))
    assert recipe.evaluate.gan_off and "score" in stages_of(Member(recipe, 0, 0), "score")
    assert NO_GENERATOR in {each.name for served in trained_without(recipe).values() for each in served}
    short = override(recipe, ["labels=10", *["pictures.steps=1"] * (recipe.pictures.steps > 0),
                              *["train.batch=10"] * (recipe.colours == "colour"),
                              *["contrastive.steps=1", "contrastive.grouping_steps=1"] * (recipe.contrastive.weight > 0),
                              *NARROW.get(recipe.model.family, ())])
    count = 100 if recipe.colours == "colour" else 600
    trainer = small.trainer(short, small.FP32, data=small.dataset(count, shape_of(recipe), 10))
    before = {player: small.weights(trainer, player).clone() for player in ("discriminator", "generator")}
    trainer.step()
    assert not trainer.failures()
    for player, weights in before.items():
        assert not small.weights(trainer, player).equal(weights)
    assert trainer.sums.isfinite().all() and {"unlabelled_loss", "generator_loss"} <= set(trainer.names)


def test_the_recipe_for_features_trains_no_generator_and_looks_at_unlabelled_samples():
    """Of features that are no images the K+1 loss makes the classifier worse."""
    recipe = recipes.read("features").recipe
    assert not draws_images(recipe) and recipe.label_spreading.weight == 1
    trainer = small.trainer(override(recipe, ["labels=10"]), small.FP32, data=small.dataset(600, (1, 1, 20), 10))
    trainer.step()
    assert not trainer.failures() and trainer.names == ("labelled_loss", "spread_loss", "labelled_error")


def shape_of(recipe) -> tuple[int, int, int]:
    return SHAPES.get(recipe.dataset, (3, 32, 32) if recipe.colours == "colour" else (1, 28, 28))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PICTURES))
def test_a_sources_recipe_trains_resumes_evaluates_and_scores(name, tmp_path):
    """On made images of its shape, as a member of a run."""
    recipe = recipes.read(name).recipe
    data = small.dataset(60, shape_of(recipe), 10)
    short = override(recipe, ["labels=10", "train.epochs=1", "train.most_steps=2", "train.batch=6",
                              "train.discriminator_updates=1", "score.samples=40", "score.splits=2",
                              "evaluate.classical=false", "evaluate.supervised=false"])
    first, again = (small.trainer(short, small.FP32, data=data) for _ in range(2))
    first.step()
    again.restore(first.checkpoint())
    first.step()
    again.step()
    assert first.done == first.steps == 2 and first.failures() == []
    assert all(map(torch.equal, small.weights_and_averages(first), small.weights_and_averages(again)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        patch.setitem(domain_classifier.SETTINGS, "most_steps", 2)
        for picture in ("confusion_picture", "mistakes_sheet", "class_histogram_picture"):
            patch.setattr(figures, picture, lambda *arguments, **options: None)
        run, = run_group([Member(short, 0, 0)], data, Setting(tmp_path / "work", None, "cpu",
                                                              progress=Progress(quiet=True)))
    told = summary(run)
    assert told["status"] == "FINISHED" and told["test_total"] == 20 and NO_GENERATOR in told["baselines"]
    assert 1 <= told["inception_score"] <= 10 and told["samples"] == 40


def test_the_papers_recipe_has_the_authors_settings():
    """Salimans et al. 2016, section 6.1 and the authors' script for MNIST."""
    found = flatten(recipes.read("salimans2016-mnist").recipe)
    authors = {
        "dataset": "mnist", "split.pool": "inclusive", "split.validation": 0,
        "model.family": "mlp", "model.widths": [1000, 500, 250, 250, 250], "model.generator_widths": [500, 500],
        "model.latent": 100, "model.initial_scale": 0.1, "model.input_noise": 0.3, "model.hidden_noise": 0.5,
        "gan.weight": 1, "train.epochs": 300, "train.batch": 100, "train.learning_rate": 0.003,
        "train.schedule": "constant", "train.beta1": 0.5, "train.beta2": 0.999, "train.epsilon": 1e-8,
        "train.adam": "authors", "train.averaging": "zero-start", "train.averaging_rate": 0.0001,
        "train.initialise_images": 500, "augment.shift": 0, "augment.rotation": 0, "augment.scale": 0,
        "augment.shear": 0, "consistency.weight": 0}
    assert {key: found[key] for key in authors} == authors


@pytest.mark.parametrize(("name", "labels", "epochs", "first", "second"), [("cifar10", 4000, 1200, 96, 192),
                                                                           ("svhn", 1000, 900, 64, 128)])
def test_the_papers_colour_recipes_have_the_authors_settings(name, labels, epochs, first, second):
    """Salimans et al. 2016, sections 6.2 and 6.3, and the authors' scripts for CIFAR-10 and SVHN."""
    found = flatten(recipes.read(f"salimans2016-{name}").recipe)
    authors = {
        "dataset": name, "labels": labels, "split.pool": "inclusive", "split.validation": 0, "colours": "colour",
        "model.family": "conv9", "model.widths": [first] * 3 + [second] * 6, "model.generator_widths": [512, 256, 128],
        "model.latent": 100, "model.latent_kind": "uniform", "model.image_range": "signed", "model.norm": "weight",
        "model.initial_scale": 0.05, "model.output": "normalised", "model.output_scale": 0.1, "model.input_noise": 0,
        "model.hidden_noise": 0, "model.input_dropout": 0.2, "model.dropout": 0.5, "model.generator_norm": "batch",
        "model.generator_norm_gain": False, "gan.weight": 1, "gan.loss": "cross-entropy", "feature_matching.weight": 1,
        "feature_matching.distance": "absolute", "train.epochs": epochs, "train.batch": 100,
        "train.learning_rate": 3e-4, "train.schedule": "linear", "train.decay_from": pytest.approx(2 / 3),
        "train.beta1": 0.5, "train.beta2": 0.999, "train.epsilon": 1e-8, "train.adam": "authors",
        "train.averaging": "zero-start", "train.averaging_rate": 0.0001, "train.initialise_images": 500,
        "augment.shift": 0, "augment.rotation": 0, "consistency.weight": 0}
    assert {key: found[key] for key in authors} == authors


def test_the_papers_recipe_for_imagenet_has_the_authors_settings():
    """Salimans et al. 2016, section 6.4, and the authors' script for ImageNet."""
    found = flatten(recipes.read("salimans2016-imagenet128").recipe)
    authors = {
        "image_size": 128, "labels": 0, "model.family": "imagenet128", "model.latent": 8192,
        "model.widths": [64, 128, 256, 256, 256, 512, 512, 2560], "model.generator_widths": [512, 256, 128, 64, 64, 64],
        "model.image_range": "signed", "model.initial_scale": 0.02, "model.norm": "batch", "model.output": "plain",
        "model.generator_norm": "virtual", "model.generator_norm_gain": True, "model.reference_images": 16,
        "model.reference_itself": True, "model.minibatch_kernels": 300, "model.minibatch_dimensions": 50,
        "model.input_noise": 0.1, "model.dropout": 0, "gan.weight": 2, "smoothing.weight": 1, "smoothing.alpha": 0.75,
        "smoothing.beta": 0, "adversarial.weight": 1, "adversarial.target": 0.375, "feature_matching.weight": 0,
        "train.batch": 16, "train.learning_rate": 4e-4, "train.beta1": 0.5, "train.schedule": "constant",
        "train.initialise_images": 0}
    assert {key: found[key] for key in authors} == authors


def test_a_recipe_from_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("# Mine: größer\n\nlabels = 50\n[evidence]\nerrors = [0.5]\n", encoding="utf-8")
    found = recipes.read(str(path))
    assert (found.name, found.title, found.recipe.labels, found.evidence) == (
        "mine", "Mine: größer", 50, {"errors": [0.5]})


def test_a_recipe_without_a_comment_has_no_title(tmp_path):
    (tmp_path / "mine.toml").write_text("labels = 50\n")
    assert recipes.read(str(tmp_path / "mine.toml")).title == ""


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(Mistake, match="no recipe is called 'mnst'. did you mean mnist"):
        recipes.read("mnst")


@pytest.mark.parametrize("bad", ["missing.toml", "folder", "folder/", "latin.toml"])
def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path, bad):
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.toml").write_bytes("# größer".encode("latin-1"))
    with pytest.raises(Mistake, match="the file cannot be read .* shipped recipes: .*digits, "):
        recipes.read(f"{tmp_path}/{bad}")


def test_a_misspelt_key_in_a_file_names_the_file_the_key_and_the_nearest(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[train]\nepocs = 3\n")
    with pytest.raises(Mistake) as caught:
        recipes.read(str(path))
    assert str(caught.value).startswith(f"{path}: no recipe key is called 'train.epocs'. did you mean train.epochs?")


def test_without_the_folder_beside_it_the_installed_recipes_are_found(tmp_path, monkeypatch):
    """As in an installed package, where pipelines/ is ssgan.pipelines."""
    from importlib import resources

    folder = Path(recipes.__file__).parent.parent / "pipelines"
    monkeypatch.setattr(recipes, "__file__", str(tmp_path / "ssgan" / "recipes.py"))
    monkeypatch.setattr(resources, "files", {"ssgan.pipelines": folder}.__getitem__)
    assert recipes.names() == SHIPPED
