"""What a person reads while runs go side by side."""

from ssgan.experiments import progress
from ssgan.experiments.progress import Progress


def test_only_finished_runs_are_counted_as_done(monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    shown = Progress()
    shown.begin_many("sweep", 3)
    shown.tell(0, 1.7, "", [("seed 0", "train", 0.9), ("seed 1", "train", 0.8)])
    shown.tell(1, 0.8, "about 2 min left", [("seed 1", "train", 0.8)])
    assert capsys.readouterr().err.splitlines() == [
        "sweep: 0 of 3 runs; seed 0: train 90 %, seed 1: train 80 %", "sweep: 1 of 3 runs; about 2 min left, seed 1: "
                                                                      "train 80 %"]


def test_quiet_shows_nothing_of_a_stage(monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    shown = Progress(quiet=True)
    shown.begin_many("sweep", 3)
    shown.tell(1, 0.7, "", [("seed 0", "train", 0.9)])
    shown.begin("train", 10)
    shown.update(5)
    assert capsys.readouterr().err == ""


def test_a_stage_of_which_nobody_knows_the_steps_is_said_at_once(capsys):
    """What takes minutes before its first line, as a start that learns without labels does."""
    shown = Progress()
    shown.begin("train: contrastive", 0)
    shown.begin("train", 10)
    shown.update(5)
    Progress(quiet=True).begin("scikit-learn", 0)
    assert capsys.readouterr().err.splitlines() == ["train: contrastive …"]
