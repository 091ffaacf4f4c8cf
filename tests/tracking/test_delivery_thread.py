"""The delivery beside a live run: it tells everything, and whatever the store does, the run does not notice."""

import socket
import threading
import time

import pytest

from ssgan.files import locked
from ssgan.tracking import Delivery, Store, delivered, delivery_thread, run_id


def wait_until(true, seconds=20):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def test_a_live_run_is_told_while_it_goes_on_and_whole_at_the_end(store, make, content):
    folder = make("beside")
    with folder.lock():
        delivery = Delivery([folder], store, every_seconds=0.1)
        delivery.start()
        wait_until(lambda: delivered(folder, store))
        folder.measure(300, {"train/loss": 0.25})
        folder.flush()
        wait_until(lambda: delivered(folder, store))
        folder.measure(400, {"train/loss": 0.125})
        folder.update(status="FINISHED")
        assert delivery.finish() == []
    assert delivery.reason is None and delivered(folder, store)
    run = content(store, run_id(folder, store))
    assert (run.status == "FINISHED"
            and [value for _, _, value in run.metrics["train/loss"]] == [1, 0.5, 1 / 3, 0.25, 0.125])


def test_several_folders_and_no_start(store, make):
    folders = [make(f"lane-{lane}", lines=1) for lane in range(3)]
    assert Delivery(folders, store).finish() == []
    assert len({run_id(folder, store) for folder in folders}) == 3


def test_without_a_store_nothing_happens_and_that_is_said(make):
    folder = make("none")
    before = set(folder.path.iterdir())
    threads = threading.active_count()
    delivery = Delivery([folder], None)
    delivery.start()
    assert threading.active_count() == threads
    assert delivery.finish() == [(folder, "tracking is off (--tracking-uri none)")]
    assert set(folder.path.iterdir()) == before


@pytest.fixture
def deaf():
    """The address of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_server_that_never_answers_delays_the_end_by_no_more_than_allowed(make, deaf):
    folder = make("deaf")
    delivery = Delivery([folder], Store(deaf))
    delivery.start()
    began = time.monotonic()
    for step in range(1000, 2000):
        folder.measure(step, {"a": step})
    assert time.monotonic() - began < 1
    began = time.monotonic()
    [(waiting, reason)] = delivery.finish(timeout_seconds=0.5)
    assert time.monotonic() - began < 2
    assert waiting is folder and reason == f"{deaf} had not answered after 0.5 seconds"


def test_a_dead_server_is_tried_ever_more_seldom(make, monkeypatch):
    monkeypatch.setattr(delivery_thread, "MOST_PATIENCE_SECONDS", 0.4)
    times = []

    def dead(folder, store):
        times.append(time.monotonic())
        raise delivery_thread.Undelivered(f"{store.name} does not answer")

    monkeypatch.setattr(delivery_thread, "deliver", dead)
    folders = [make("dead-1"), make("dead-2")]
    delivery = Delivery(folders, Store("http://127.0.0.1:9"), every_seconds=0.1)
    delivery.start()
    wait_until(lambda: len(times) == 5)
    pauses = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    assert all(least < pause < least + 0.3 for pause, least in zip(pauses, (0.1, 0.2, 0.4, 0.4), strict=True))
    assert delivery.reason == "http://127.0.0.1:9 does not answer"
    assert delivery.finish() == [(folder, "http://127.0.0.1:9 does not answer") for folder in folders]


def test_one_bad_folder_does_not_keep_the_others_waiting_nor_does_a_fault_of_ours(store, make):
    broken, odd, sound = make("bad-journal"), make("bad-facts"), make("good")
    (broken.path / "measurements.jsonl").write_text("{}\n")
    odd.update(inputs={"name": "digits"})  # without its sha256
    waiting = dict(Delivery([broken, odd, sound], store).finish())
    assert list(waiting) == [broken, odd] and delivered(sound, store)
    assert "line 1 is no measurement" in waiting[broken] and waiting[odd] == "KeyError: 'sha256'"


def test_a_folder_that_another_process_delivers_is_waited_for(store, make):
    folder = make("shared")
    delivery = Delivery([folder], store)
    with locked(folder.path / "delivery.lock"):
        delivery.start()
        wait_until(lambda: delivery.reason)
        assert delivery.reason == "another process is delivering it"
        assert delivery.finish(timeout_seconds=0.5) == [(folder, "another process is delivering it")]
    later = Delivery([folder], store)
    with locked(folder.path / "delivery.lock"):
        later.start()
        wait_until(lambda: later.reason)
        release = threading.Event()
        threading.Thread(target=lambda: (later.finish(), release.set())).start()
        time.sleep(0.3)
        assert not release.is_set()
    assert release.wait(20) and delivered(folder, store)


def test_what_earlier_runs_left_is_brought_in_beside(store, make, tmp_path):
    earlier, mine = make("earlier", tracking_uri="none"), make("mine")
    with mine.lock():
        delivery = Delivery([mine], store, root=tmp_path)
        delivery.start()
        wait_until(lambda: delivery.brought)
        assert delivery.finish() == []
    assert [(folder.path, run, reason) for folder, run, reason in delivery.brought] == [
        (earlier.path, run_id(earlier, store), None)]
    assert earlier.facts["status"] == "KILLED" and mine.facts["status"] == "RUNNING"
