"""Which runs are the same one, and that folders are found again: today's, those of schema 1 and of schemas to come.

old_runs/ holds folders that ssgan 0.1.0 made before there was a schema, without their pictures: a finished run, one
that was stopped at step 88 of 280, and the summaries of a sweep and of a tuning.
"""

import dataclasses
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import small
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from test_config import LEAVES, LISTS, flat_tables, nested, toml

from ssgan import config
from ssgan.cli import main
from ssgan.config import Recipe, build, override
from ssgan.errors import Mistake
from ssgan.experiments import group_training, identity
from ssgan.experiments.grid import Plan
from ssgan.experiments.identity import first_identity_of, folder_of, identity_of, summary_folder_of
from ssgan.experiments.member import Member
from ssgan.experiments.progress import Progress
from ssgan.experiments.run import Setting, run_group
from ssgan.experiments.sweep import run_sweep
from ssgan.settings import as_table, fingerprint, flatten, number
from ssgan.tracking import SWEEP_TAG
from ssgan.tracking.workfolder import WorkFolder
from ssgan.training.trainer import Trainer

OLD = Path(__file__).parent / "old_runs"
FINISHED, STOPPED, SWEEP, TUNING = "5b09fe16bb9e4f76", "9538723186982e68", "a14e16ced6f1b273", "40d63b601eb2e9ea"
DATA = small.digits().sha256
RECIPE = override(Recipe(), [
    "train.epochs=1", "train.batch=100", "model.widths=[6]", "model.generator_widths=[4]", "gan.weight=2"])
MEMBER = Member(RECIPE, 0, 0)


@dataclass(frozen=True)
class NewConfig:
    """A section that nobody has thought of yet."""

    weight: float = number(0.0, 0, 1, "of what is new")


@dataclass(frozen=True)
class Later(Recipe):
    """A recipe of the future."""

    new: NewConfig = NewConfig()


def later(member: Member, weight: float = 0.0) -> Member:
    """The same member, of the future."""
    fields = {item.name: getattr(member.recipe, item.name) for item in dataclasses.fields(Recipe)}
    return replace(member, recipe=Later(**fields, new=NewConfig(weight)))


def old_member(name: str) -> Member:
    """What an old folder was made with, as a recipe of today."""
    stored = json.loads((OLD / name / "run.json").read_text())["settings"]
    return Member(build(stored["recipe"], name), stored["seed"], stored["split_seed"], "digits")


def changed(member: Member, *changes: str) -> Member:
    return replace(member, recipe=override(member.recipe, list(changes)))


@pytest.fixture
def old(tmp_path) -> Path:
    """A work root that holds the old folders."""
    return Path(shutil.copytree(OLD, tmp_path / "mlruns" / "work"))


def setting(work: Path) -> Setting:
    return Setting(work, None, "cpu", progress=Progress(quiet=True))


def begun(work: Path, member: Member = MEMBER) -> WorkFolder:
    """A run that has been split."""
    folder, = run_group([member], small.digits(), setting(work), until="split")
    return folder


def rewrite(folder: WorkFolder, change) -> None:
    """Changes the stored settings."""
    stored = folder.facts["settings"]
    change(stored)
    folder.update(settings=stored)


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, but for its lock."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in ("lock", "holder.json")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def names(work: Path) -> set[str]:
    return {path.name for path in work.iterdir()}


members = st.builds(lambda flat, seed, split_seed, name: Member(build(nested(flat), "here"), seed, split_seed, name),
                    flat_tables, st.integers(0, 2), st.integers(0, 2), st.sampled_from(["", "digits"]))


@settings(deadline=None)
@given(members, members)
def test_fingerprints_are_equal_exactly_when_settings_are(one, other):
    same = (one.recipe, one.seed, one.split_seed) == (other.recipe, other.seed, other.split_seed)
    assert (fingerprint(identity_of(one, "a")) == fingerprint(identity_of(other, "a"))) == same
    again = replace(one, recipe=build(as_table(one.recipe), "again"))
    assert identity_of(one, "a") == identity_of(again, "a") != identity_of(one, "b")


@settings(deadline=None)
@given(members)
def test_a_new_key_keeps_every_fingerprint(member):
    assert identity_of(later(member), "a") == identity_of(member, "a") != identity_of(later(member, 0.5), "a")
    with pytest.MonkeyPatch.context() as patch:
        before = first_identity_of(member, "a")
        patch.setattr(config, "Recipe", Later)
        assert first_identity_of(later(member), "a") == before and first_identity_of(later(member, 0.5), "a") is None


@pytest.mark.parametrize("key", LEAVES)
def test_the_fingerprint_changes_with_every_key(key):
    item, before = LEAVES[key], flatten(Recipe())[key]
    meta = item.metadata
    others = {bool: [not before], str: list(meta.get("allowed", ("other",)))}
    others = others.get(item.type, [meta.get("low"), meta.get("high")])
    after = next(value for value in others if value != before and [value] != before)
    other = override(Recipe(), [f"{key}={toml([after] if key in LISTS else after)}"])
    assert identity_of(Member(other, 0, 0), "a")["recipe"] == {key: flatten(other)[key]}
    assert first_identity_of(Member(other, 0, 0), "a") != first_identity_of(Member(Recipe(), 0, 0), "a")


def test_minus_zero_is_zero():
    assert identity_of(changed(MEMBER, "gan.weight=-0.0"), "a") == identity_of(changed(MEMBER, "gan.weight=0"), "a")


@pytest.mark.parametrize("name", [FINISHED, STOPPED])
def test_a_run_of_schema_1_is_found_and_no_other_is_taken_for_it(old, name):
    member = old_member(name)
    assert folder_of(member, DATA, old).fingerprint == name
    for other in (changed(member, "train.epochs=3"), changed(member, "class_balance.weight=0.25"),
                  changed(member, "pull_away.weight=0.3"), replace(member, seed=1), replace(member, split_seed=1)):
        assert not folder_of(other, DATA, old).path.exists()
    assert not folder_of(member, "0" * 64, old).path.exists()


def test_a_run_of_schema_1_has_no_key_that_came_later(old, monkeypatch):
    monkeypatch.setattr(config, "Recipe", Later)
    member = later(old_member(FINISHED))
    assert folder_of(member, DATA, old).fingerprint == FINISHED
    assert not folder_of(later(member, 0.5), DATA, old).path.exists()
    monkeypatch.setattr(config, "WAS", {"new.weight": 0.5})
    assert folder_of(later(member, 0.5), DATA, old).fingerprint == FINISHED
    assert not folder_of(member, DATA, old).path.exists()


def test_a_finished_run_of_schema_1_prints_its_result(old, monkeypatch):
    """By the command that made it, whose recipe has an old name; and nothing in its folder is changed."""
    monkeypatch.chdir(old.parent.parent)
    monkeypatch.setattr(group_training, "Trainer", lambda *arguments: pytest.fail("it was trained again"))
    table = json.loads((OLD / FINISHED / "run.json").read_text())["settings"]["recipe"]
    Path("old.toml").write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in _flat(table).items()))
    before = content(old / FINISHED)
    for arguments in (["--recipe", "old.toml"], ["--resume", FINISHED[:8]],
                      ["--resume", FINISHED, "--set", "consistency.balance=0.5"]):
        done = CliRunner().invoke(main, ["run", *arguments, "--tracking-uri", "none", "--json"])
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout.splitlines()[-1])
        assert (found["test_wrong"], Path(found["folder"]).name) == (307, FINISHED)
    assert content(old / FINISHED) == before and names(old) == {FINISHED, STOPPED, SWEEP, TUNING}


def _flat(table: dict, prefix: str = "") -> dict:
    found = {}
    for key, value in table.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def test_an_unfinished_run_of_schema_1_goes_on_from_its_step(old, monkeypatch):
    first, restore = [], Trainer.restore
    monkeypatch.setattr(Trainer, "restore", lambda self, saved: (restore(self, saved), first.append(self.done))[0])
    folder, = run_group([old_member(STOPPED)], small.digits(), setting(old), until="train")
    assert first == [88] and folder.path == old / STOPPED
    assert folder.stage_finished("train") and not folder.checkpoint.exists()
    assert min(step for _, step, _, _ in folder.measurements()) > 88
    assert "pull_away" in folder.facts["settings"]["recipe"]["gan"]  # what it stores stays


def test_again_sets_a_run_of_schema_1_aside_and_makes_todays(old):
    member = old_member(FINISHED)
    before = content(old / FINISHED)
    folder, = run_group([member], small.digits(), setting(old), until="split", again=True)
    assert folder.fingerprint == fingerprint(identity_of(member, DATA))
    assert folder.facts["settings"]["schema"] == config.SCHEMA
    assert content(old / f"{FINISHED}-1") == before and folder_of(member, DATA, old).path == folder.path


def test_the_sweep_of_schema_1_is_gone_on_with(old, monkeypatch):
    monkeypatch.setattr(group_training, "Trainer", lambda *arguments: pytest.fail("it was trained again"))
    member = old_member(FINISHED)
    outcome = run_sweep(Plan(member.recipe, "digits", (20,), ((0, 0),)), small.digits(), setting(old))
    assert outcome.folder.fingerprint == SWEEP and [folder.fingerprint for folder in outcome.members] == [FINISHED]
    assert outcome.members[0].facts["tags"][SWEEP_TAG] == SWEEP and names(old) == {FINISHED, STOPPED, SWEEP, TUNING}


def tuning(balance: str = "0,0.5", lanes: int | None = None) -> tuple[list[Member], int | None]:
    recipe = override(old_member(FINISHED).recipe, ["split.validation=60"])
    return Plan(recipe, "digits", (20,), ((0, 1000),), (f"consistency.balance={balance}",), lanes).members(), lanes


def test_the_tuning_of_schema_1_is_found_and_no_other_is_taken_for_it(old):
    assert summary_folder_of("tune", *tuning(), DATA, old).fingerprint == TUNING
    for kind, plan in (("tune", tuning("0,0.25")), ("tune", tuning("0.5,0")), ("tune", tuning(lanes=2)),
                       ("sweep", tuning())):
        assert not summary_folder_of(kind, *plan, DATA, old).path.exists()


def test_a_folder_of_other_settings_is_refused_and_left_as_it_is(tmp_path):
    folder = begun(tmp_path)
    rewrite(folder, lambda stored: stored["recipe"]["train"].update(epochs=7.0, adam="authors"))
    before = content(folder.path)
    for again in (False, True):
        with pytest.raises(Mistake) as caught:
            run_group([MEMBER], small.digits(), setting(tmp_path), again=again)
        text = str(caught.value)
        assert "train.epochs: 7.0 there, 1.0 here; train.adam: authors there, standard here" in text
        assert str(folder.path) in text and f"--resume {folder.fingerprint}" in text and len(text.splitlines()) <= 3
    with pytest.raises(Mistake, match="train.epochs: 7.0 there, 1.0 here"):
        run_sweep(Plan(RECIPE, "", (100,), ((0, 0),)), small.digits(), setting(tmp_path))
    assert content(folder.path) == before and names(tmp_path) == {folder.fingerprint}
    resumed = changed(MEMBER, "train.epochs=7", "train.adam=authors")
    assert begun(tmp_path, resumed).path == folder.path and names(tmp_path) == {folder.fingerprint}


def test_a_summary_of_other_settings_is_refused(tmp_path):
    members = Plan(RECIPE, "", (20, 50), ((0, 0),)).members()
    folder = summary_folder_of("sweep", members, None, DATA, tmp_path)
    WorkFolder.create(tmp_path, folder.fingerprint)
    stored = identity.stored_plan([changed(member, "train.epochs=7") for member in members], None, DATA)
    folder.update(sweep={"settings": stored}, kind="summary")
    with pytest.raises(Mistake, match="train.epochs: 7.0 there, 1.0 here.\nMove it away"):
        summary_folder_of("sweep", members, None, DATA, tmp_path)
    folder.update(sweep={"settings": stored | {"members": stored["members"][:1]}})
    with pytest.raises(Mistake, match="1 runs there, 2 here"):
        summary_folder_of("sweep", members, None, DATA, tmp_path)


def test_a_key_that_a_folder_lacks_had_its_default(tmp_path, monkeypatch):
    folder = begun(tmp_path)
    rewrite(folder, lambda stored: stored["recipe"].pop("vat"))
    assert folder_of(MEMBER, DATA, tmp_path).path == folder.path and begun(tmp_path).path == folder.path
    rewrite(folder, lambda stored: stored["recipe"].pop("gan"))
    with pytest.raises(Mistake, match="gan.weight: 1.0 there, 2.0 here"):
        folder_of(MEMBER, DATA, tmp_path)
    monkeypatch.setattr(config, "WAS", {"gan.weight": 2.0})
    assert folder_of(MEMBER, DATA, tmp_path).path == folder.path


def test_a_key_that_is_no_more_makes_another_run(tmp_path):
    folder = begun(tmp_path)
    rewrite(folder, lambda stored: stored["recipe"].update(magic={"weight": 3.0}))
    with pytest.raises(Mistake, match="magic.weight: 3.0 there, no such key here"):
        folder_of(MEMBER, DATA, tmp_path)


def test_a_raised_schema_orphans_no_folder_of_equal_values(tmp_path, monkeypatch):
    plan = Plan(RECIPE, "", (20, 50), ((0, 0), (1, 1)), ("gan.weight=1,2",), lanes=2)
    folders = {member: begun(tmp_path, member) for member in plan.members()}
    summary = summary_folder_of("sweep", plan.members(), 2, DATA, tmp_path)
    WorkFolder.create(tmp_path, summary.fingerprint)
    summary.update(sweep={"settings": identity.stored_plan(plan.members(), 2, DATA)}, kind="summary")
    (tmp_path / "0123456789abcdef").mkdir()
    (tmp_path / "0123456789abcdef" / "run.json").write_text("damaged")
    monkeypatch.setattr(config, "SCHEMA", 3)
    assert identity_of(MEMBER, DATA) not in [identity_of(member, DATA) | {"schema": 2} for member in folders]
    for member, folder in folders.items():
        assert folder_of(member, DATA, tmp_path).path == folder.path
        assert not folder_of(changed(member, "train.epochs=2"), DATA, tmp_path).path.exists()
    assert summary_folder_of("sweep", plan.members(), 2, DATA, tmp_path).path == summary.path
    for kind, members, lanes in (("tune", plan.members(), 2), ("sweep", plan.members(), None),
                                 ("sweep", plan.members()[::-1], 2), ("sweep", plan.members()[1:], 2)):
        assert not summary_folder_of(kind, members, lanes, DATA, tmp_path).path.exists()
    assert begun(tmp_path, plan.members()[0]).path == folders[plan.members()[0]].path  # gone on with in place
    monkeypatch.setattr(config, "SAME_SINCE", 3)
    identity._folders.cache_clear()
    assert not any(folder_of(member, DATA, tmp_path).path.exists() for member in folders)


def test_schema_1_can_be_left_behind(old, monkeypatch):
    monkeypatch.setattr(config, "SAME_SINCE", 2)
    assert not folder_of(old_member(FINISHED), DATA, old).path.exists()


def test_a_key_that_is_renamed_orphans_no_folder(tmp_path, monkeypatch):
    folder = begun(tmp_path)
    rewrite(folder, lambda stored: stored["recipe"].update(gan={"power": 2.0}))
    moved = WorkFolder(folder.path.rename(tmp_path / "feedfeedfeedfeed"))  # its fingerprint had the old name in it
    monkeypatch.setitem(config.RENAMED, "gan.power", "gan.weight")
    assert folder_of(MEMBER, DATA, tmp_path).path == moved.path
    assert not folder_of(changed(MEMBER, "gan.weight=1"), DATA, tmp_path).path.exists()


def test_what_was_set_aside_or_has_gone_is_not_found(tmp_path, monkeypatch):
    folder = begun(tmp_path)
    monkeypatch.setattr(config, "SCHEMA", 3)
    assert folder_of(MEMBER, DATA, tmp_path).path == folder.path
    folder.path.rename(tmp_path / f"{folder.fingerprint}-1")
    assert not folder_of(MEMBER, DATA, tmp_path).path.exists()


def test_each_folder_is_read_once(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "SCHEMA", 3)
    begun(tmp_path)
    read, add = [], identity._Folders._add
    monkeypatch.setattr(identity._Folders, "_add", lambda self, folder: read.append(folder.path) or add(self, folder))
    for seed in range(1, 4):
        folder_of(replace(MEMBER, seed=seed), DATA, tmp_path)
        begun(tmp_path, replace(MEMBER, seed=seed))
    folder_of(replace(MEMBER, seed=9), DATA, tmp_path)
    assert len(read) == len(set(read)) and len(read) <= 4
