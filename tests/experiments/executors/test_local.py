"""Jobs in processes of this machine: what they tell, how they end, and that none outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from ssgan.experiments.executors.executor import End, Job, Task
from ssgan.experiments.executors.local import LocalExecutor

SECONDS = 60  # after which a test gives up


@dataclass(frozen=True)
class Telling(Job):
    """Says a word and steps through a stage."""

    word: str

    def run(self, progress, stop):
        progress.say(self.word)
        for stage in ("split", "train"):
            progress.begin(stage, 10, 2)
        return End(f"of {os.getpid()}, {os.environ.get('OMP_NUM_THREADS')} threads, session {os.getsid(0)}")


@dataclass(frozen=True)
class Dying(Job):
    """Ends its process."""

    code: int

    def run(self, progress, stop):
        if self.code < 0:
            os.kill(os.getpid(), -self.code)
        os._exit(self.code)


@dataclass(frozen=True)
class Faulty(Job):
    """Has a fault."""

    def run(self, progress, stop):
        raise KeyError("no such thing\nat all")


@dataclass(frozen=True)
class Waiting(Job):
    """Waits until it is asked to stop, and prints where nobody may see it."""

    def run(self, progress, stop):
        print("a library's word", flush=True)
        step = 0
        progress.begin(f"pid {os.getpid()}", 1000, 1)
        while not stop.requested:
            time.sleep(0.01)
            step += 1
        return End(stopped_at=step)


def finish(executor: LocalExecutor, *tasks: Task) -> list[End]:
    until = time.monotonic() + SECONDS
    while not all(task.end for task in tasks) and time.monotonic() < until:
        executor.wait(0.1)
    return [task.end for task in tasks]


def until_begun(executor: LocalExecutor, *tasks: Task) -> list[int]:
    """The process ids of waiting jobs."""
    until = time.monotonic() + SECONDS
    while any(task.stage == "starting" for task in tasks) and time.monotonic() < until:
        executor.wait(0.1)
    return [int(task.stage.split()[1]) for task in tasks]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_job_is_done_elsewhere_and_heard_and_the_process_takes_the_next():
    said = []
    with LocalExecutor(1, None, said.append) as executor:
        task = executor.submit(Telling("first"))
        assert (task.stage, task.part, task.end) == ("starting", 0.0, None)
        first, = finish(executor, task)
        assert said == ["first"] and (task.stage, task.step, task.total, task.part) == ("train", 2, 10, 0.2)
        second, = finish(executor, executor.submit(Telling("second")))
    assert first == second and said == ["first", "second"] and f"of {os.getpid()}," not in first.reason


def test_places_work_beside_one_another_and_stop_when_they_are_asked():
    with LocalExecutor(2, None, print) as executor:
        tasks = [executor.submit(Waiting()) for _ in range(2)]
        one, other = until_begun(executor, *tasks)
        assert one != other
        executor.stop()
        executor.stop()
        assert all(end.stopped_at is not None for end in finish(executor, *tasks))
    assert not alive(one) and not alive(other)


@pytest.mark.parametrize(("code", "told"), [(3, "3"), (-signal.SIGKILL, "-9")])
def test_a_process_that_dies_takes_its_own_job_along_and_has_a_successor(code, told):
    said = []
    with LocalExecutor(2, None, said.append) as executor:
        beside = executor.submit(Waiting())
        until_begun(executor, beside)
        assert finish(executor, executor.submit(Dying(code))) == [End(f"its process died with exit code {told}")]
        assert beside.end is None and "threads" in finish(executor, executor.submit(Telling("word")))[0].reason
        executor.stop()
        assert finish(executor, beside)[0].stopped_at is not None
    assert said == ["word"]


def test_one_that_died_while_it_was_idle_is_replaced():
    with LocalExecutor(1, None, print) as executor:
        end, = finish(executor, executor.submit(Telling("")))
        pid = int(end.reason.split(",")[0].split()[1])
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + SECONDS
        while alive(pid) and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2)  # until the pool has seen it
        assert "threads" in finish(executor, executor.submit(Telling("")))[0].reason


def test_a_fault_is_told_in_a_line_and_the_process_goes_on(capfd):
    with LocalExecutor(1, None, print) as executor:
        assert finish(executor, executor.submit(Faulty()))[0].reason.startswith("KeyError: ")
        assert "threads" in finish(executor, executor.submit(Telling("")))[0].reason
    assert "Traceback" in capfd.readouterr().err


def test_what_is_at_work_at_the_end_is_ended():
    with LocalExecutor(1, None, print) as executor:
        pid, = until_begun(executor, executor.submit(Waiting()))
    assert not alive(pid)


@pytest.mark.parametrize(("said", "asked", "threads"), [(None, 3, "3"), ("5", 3, "5"), (None, None, "None")])
def test_processes_take_their_share_of_threads_unless_the_person_has_said_otherwise(monkeypatch, said, asked, threads):
    monkeypatch.delenv("OMP_NUM_THREADS")
    if said:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    with LocalExecutor(1, asked, print) as executor:
        end, = finish(executor, executor.submit(Telling("")))
    assert f"{threads} threads" in end.reason and os.environ.get("OMP_NUM_THREADS") == said


def test_torch_is_not_there_before_the_threads_are_said():
    program = "import sys, ssgan.experiments.executors.local; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


PARENT = """
import signal, sys, time
import test_local
from ssgan.experiments.executors.local import LocalExecutor

signal.signal(signal.SIGINT, lambda *_: None)
with LocalExecutor(2, None, print) as executor:
    tasks = [executor.submit(test_local.Waiting()) for _ in range(2)]
    if sys.argv[1] == "slow":
        print(*test_local.until_begun(executor, *tasks), flush=True)
    else:
        print("begun", flush=True)
    sys.stdin.readline()
    executor.stop()
    print([end.stopped_at is not None for end in test_local.finish(executor, *tasks)])
"""


def parent(*arguments: str) -> subprocess.Popen:
    """A process of its own session that has two jobs at work."""
    paths = [str(Path(__file__).parent), *filter(None, sys.path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-c", PARENT, *arguments]
    return subprocess.Popen(command, env=environment, text=True, start_new_session=True, **pipes)


def test_no_process_outlives_its_parent():
    with parent("slow") as process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 2 and all(map(alive, pids))
        process.kill()
        until = time.monotonic() + SECONDS
        while any(map(alive, pids)) and time.monotonic() < until:
            time.sleep(0.01)
        assert not any(map(alive, pids))
        process.stdin.close()


@pytest.mark.parametrize("moment", ["slow", "at once"])
def test_ctrl_c_is_for_the_parent_alone_and_stdout_too(moment):
    with parent(moment) as process:
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate("\n", timeout=SECONDS)
    assert (process.returncode, out) == (0, "[True, True]\n") and set(err.splitlines()) == {"a library's word"}, err
