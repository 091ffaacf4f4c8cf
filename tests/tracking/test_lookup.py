"""Finding the run that a RUN on the command line means, here or in the store."""

import shutil

import pytest

from ssgan.errors import Mistake
from ssgan.tracking import Store, deliver, find_run


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_by_run_id_fingerprint_prefix_and_latest(store, make, tmp_path):
    old, new = make("aa11bb22", created=1_700_000_000.5), make("aa11cc33", created=1_700_000_001.5)
    run = deliver(old, store)
    for reference in (run, run[:8], "aa11bb22", "aa11b"):
        assert find_run(reference, tmp_path, None).path == old.path
    assert find_run("latest", tmp_path, None).path == new.path


def test_a_whole_name_goes_before_the_beginning_of_another(make, tmp_path):
    whole, _ = make("aa11"), make("aa11-1")
    assert find_run("aa11", tmp_path, None).path == whole.path


def test_an_ambiguous_prefix_lists_up_to_five(make, tmp_path):
    for i in range(7):
        make(f"abcd{i}")
    with pytest.raises(Mistake, match="RUN 'abcd' is the beginning of 7 runs: abcd0 .*abcd4 .digits-100 abcd4. and 2 "
                                      "more"):
        find_run("abcd", tmp_path, None)


@pytest.mark.parametrize("reference", ["1234", "latest"])
def test_no_run_at_all_says_how_to_make_one(tmp_path, reference):
    store = Store(f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(Mistake, match="ssgan run --dataset digits --labels 100"):
        find_run(reference, tmp_path, store)
    assert not (tmp_path / "mlflow.db").exists()


def test_a_short_or_unknown_reference(make, tmp_path):
    make("abcdef")
    with pytest.raises(Mistake, match="too short: type `latest`, or at least 4"):
        find_run("abc", tmp_path, None)
    with pytest.raises(Mistake, match="no run is called 'zzzz'. There are: abcdef"):
        find_run("zzzz", tmp_path, None)


def test_a_run_that_is_only_in_the_store_comes_back_whole(make, tmp_path, cache, template):
    shutil.copy(template, tmp_path / "mlflow.db")
    store = Store(f"sqlite:///{tmp_path}/mlflow.db")
    first, second = make("ee11", result={"test_error": 0.02}, status="FINISHED"), make("ee22", created=1_800_000_000.0)
    unended = make("ee33", created=1_600_000_000.0)
    run, latest, begun = (deliver(folder, store) for folder in (first, second, unended))
    facts = first.facts
    shutil.rmtree(first.path.parent)
    for reference in (run, run[:12], "ee11"):
        found = find_run(reference, tmp_path / "work", store)
        assert found.path == cache / "ssgan" / "runs" / run / "ee11"
        assert found.facts == facts and (found.path / "split" / "deep" / "split.npz").read_bytes() == b"tables"
    assert deliver(found, store) == run, "evaluating it again tells the same run"
    with pytest.raises(Mistake, match=f"run {begun} has no run.json there: it has not ended"):
        find_run("ee33", tmp_path / "work", store)
    with pytest.raises(Mistake, match=latest):
        find_run("latest", tmp_path / "work", store)
    with pytest.raises(Mistake, match=r"no run is called 'zzzz'\. There are: .*ee22"):
        find_run("zzzz", tmp_path / "work", store)


def test_a_store_that_cannot_be_asked_is_a_mistake(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(Mistake, match="no run here is 'latest', and the store cannot be asked: http://127.0.0.1:9 does "
                                      "not answer"):
        find_run("latest", tmp_path, Store("http://127.0.0.1:9"))
