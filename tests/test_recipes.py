"""The shipped recipes and their contracts; recipes from files."""

import re
import shlex
from pathlib import Path

import pytest
import small

from ssgan import recipes, settings
from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.evaluation.baselines import NO_GENERATOR, trained_without
from ssgan.experiments.member import Member
from ssgan.experiments.run import stages_of
from ssgan.settings import flatten
from ssgan.techniques import draws_images

SHIPPED = recipes.names()


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
    assert found.recipe.dataset in ("digits", "mnist", "fashion-mnist", "folder:.", "npz:features.npz")


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "features"])
def test_a_shipped_recipe_trains_a_gan_scores_its_images_and_shows_no_generator_beside(name):
    recipe = recipes.read(name).recipe
    assert recipe.gan.weight >= 0.1 and recipe.feature_matching.weight == 1
    assert recipe.evaluate.gan_off and "score" in stages_of(Member(recipe, 0, 0), "score")
    assert NO_GENERATOR in {each.name for served in trained_without(recipe).values() for each in served}
    side = 8 if recipe.dataset == "digits" else 28
    short = override(recipe, ["labels=10", *["pictures.steps=1"] * (recipe.pictures.steps > 0)])
    trainer = small.trainer(short, small.FP32, data=small.dataset(600, (1, side, side), 10))
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
    with pytest.raises(Mistake, match="the file cannot be read .* shipped recipes: digits, "):
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
