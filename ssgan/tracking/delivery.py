"""`deliver`: the replay of a work folder into a store, which sends what the store has not acknowledged yet."""

import json
from collections.abc import Iterator
from typing import Any

from ssgan.files import locked
from ssgan.tracking.receipt import Record, mlflow_name, wanted
from ssgan.tracking.store import Store, Undelivered, faults
from ssgan.tracking.workfolder import ENDED, WorkFolder

MOST_VALUES = 1000  # MLflow's limits for one call
MOST_SETTINGS = 100

Row = tuple[str, float, int, int]  # name, value, milliseconds since the epoch, step


class Busy(Undelivered):
    """Another process delivers the same folder just now."""

    def __init__(self):
        super().__init__("another process is delivering it", everywhere=False)


def deliver(folder: WorkFolder, store: Store) -> str:
    """Brings everything new in a work folder to its run in the store, made if need be, and returns the run's id.

    May be cut off anywhere and called again: nothing is lost and nothing is there twice. Raises Undelivered.
    """
    with faults(store), locked(folder.path / "delivery.lock") as held:
        if not held:
            raise Busy
        record = Record(folder, store)
        if record.run_id and not store.has_run(record.run_id):
            record.forget()
        store.client()
        from mlflow.exceptions import MlflowException

        try:
            return _Replay(folder, store, record).send()
        except MlflowException as error:
            if not record.run_id or error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
        # The store was emptied or replaced since: the journal still has everything.
        record.forget()
        store.close()
        return _Replay(folder, store, record).send()


class _Replay:
    def __init__(self, folder: WorkFolder, store: Store, record: Record):
        self.client = store.client()
        self.folder, self.store, self.record = folder, store, record
        self.sent, self.want = record.sent, wanted(folder)
        self.histories: dict[str, set[tuple[int, int]]] = {}

    def send(self) -> str:
        if self.record.run_id is None:
            self.open_run()
        self.send_settings()
        self.send_inputs()
        self.send_measurements()
        self.send_stages()
        self.send_files()
        self.send_status()
        return self.record.run_id

    def acknowledged(self, **sent: Any) -> None:
        self.sent.update(sent)
        self.record.save()

    def open_run(self) -> None:
        # A run that was made, but not noted before we were cut off, is found by its tags.
        tags = {name: self.want["tags"][name] for name in ("ssgan.fingerprint", "ssgan.created")}
        query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        found = self.client.search_runs([self.store.experiment_id], query, max_results=1)
        if found:
            self.record.run_id = found[0].info.run_id
            self.record.doubt = self.want["lines"]
            self.acknowledged(params=found[0].data.params)
        else:
            name, start = self.want["name"], int((self.record.created or 0) * 1000)
            run = self.client.create_run(self.store.experiment_id, start_time=start, tags=self.want["tags"],
                                         run_name=name)
            self.record.run_id = run.info.run_id
            self.acknowledged(name=name, tags=self.want["tags"])

    def send_settings(self) -> None:
        if self.sent.get("name") != self.want["name"]:
            self.client.update_run(self.record.run_id, name=self.want["name"])
            self.acknowledged(name=self.want["name"])
        from mlflow.entities import Param, RunTag

        # MLflow keeps a param's first value for ever; the run's facts, delivered at the end, hold the last.
        old_params, old_tags = self.sent.get("params", {}), self.sent.get("tags", {})
        params = [Param(name, value) for name, value in self.want["params"].items() if name not in old_params]
        tags = dict.fromkeys(old_tags.keys() - self.want["tags"].keys(), "")  # what no longer holds, an error say
        tags |= {name: value for name, value in self.want["tags"].items() if old_tags.get(name) != value}
        for part in _parts(params, MOST_SETTINGS):
            self.client.log_batch(self.record.run_id, params=part)
        for part in _parts([RunTag(name, value) for name, value in tags.items()], MOST_SETTINGS):
            self.client.log_batch(self.record.run_id, tags=part)
        if old_params != self.want["params"] or old_tags != self.want["tags"]:
            self.acknowledged(params=self.want["params"], tags=self.want["tags"])

    def send_inputs(self) -> None:
        inputs = self.want["inputs"]
        if self.sent.get("inputs") == inputs:
            return
        from mlflow.entities import Dataset, DatasetInput, InputTag

        kind, source = _source(inputs.get("source", "unknown"))
        digest = inputs["sha256"][:36]
        dataset = Dataset(name=inputs["name"], digest=digest, source_type=kind, source=json.dumps(source),
                          profile=json.dumps(inputs))
        context = InputTag("mlflow.data.context", "training")
        self.client.log_inputs(self.record.run_id, datasets=[DatasetInput(dataset, [context])])
        self.acknowledged(inputs=inputs)

    def send_measurements(self) -> None:
        doubt = self.record.doubt
        for first, last, rows in self.batches(self.sent.get("lines", 0)):
            self.record.doubt = last  # from here on the store may have them, whether or not its answer reaches us
            self.record.save()
            self.send_rows(rows, doubtful=first <= doubt)
            self.acknowledged(lines=last)
        self.sent.setdefault("lines", 0)

    def batches(self, after_line: int) -> Iterator[tuple[int, int, list[Row]]]:
        """(first line, last line, rows) of whole lines, as many as fit into one call."""
        rows: list[Row] = []
        first = last = after_line + 1
        for number, step, seconds, values in self.folder.measurements(after_line):
            if number > self.want["lines"]:
                break
            if rows and len(rows) + len(values) > MOST_VALUES:
                yield first, last, rows
                first, rows = number, []
            last = number
            rows += [(mlflow_name(name), value, int(seconds * 1000), step) for name, value in values.items()]
        if rows:
            yield first, last, rows

    def send_rows(self, rows: list[Row], doubtful: bool) -> None:
        from mlflow.entities import Metric

        if doubtful:
            rows = [row for row in rows if row[2:] not in self.history(row[0])]
        for part in _parts([Metric(*row) for row in rows], MOST_VALUES):
            self.client.log_batch(self.record.run_id, metrics=part)

    def history(self, name: str) -> set[tuple[int, int]]:
        """(milliseconds, step) of the values that the store has under that name."""
        if name not in self.histories:
            values = self.client.get_metric_history(self.record.run_id, name)
            self.histories[name] = {(value.timestamp, value.step) for value in values}
        return self.histories[name]

    def send_stages(self) -> None:
        old = self.sent.get("stages", {})
        new = {name: stage for name, stage in self.want["stages"].items() if old.get(name) != stage}
        if new or "stages" not in self.sent:
            rows = [(f"stage/{name}/seconds", seconds, int(at * 1000), 0) for name, (seconds, at) in new.items()]
            self.send_rows(rows, doubtful=True)
            self.acknowledged(stages=self.want["stages"])

    def send_files(self) -> None:
        files = self.sent.setdefault("files", {})
        for name, stamp in self.want["files"].items():
            if files.get(name) != stamp:
                parent = name.rpartition("/")[0]
                self.client.log_artifact(self.record.run_id, str(self.folder.path / name), parent or None)
                files[name] = stamp
                self.record.save()
        if files != self.want["files"]:
            self.acknowledged(files=self.want["files"])

    def send_status(self) -> None:
        status, ended = self.want["status"]
        if self.sent.get("status") == [status, ended]:
            return
        if status in ENDED:
            self.client.set_terminated(self.record.run_id, status, end_time=int(ended * 1000) if ended else None)
        else:
            self.client.update_run(self.record.run_id, status=status)
        self.acknowledged(status=[status, ended])


def _source(text: str) -> tuple[str, dict[str, Any]]:
    """MLflow's type and content of a data set's source."""
    if text.startswith(("http://", "https://")):
        return "http", {"url": text}
    if "/" in text:
        return "local", {"uri": text}
    return "code", {"tags": {"mlflow.source.name": text}}


def _parts(items: list, most: int) -> Iterator[list]:
    for start in range(0, len(items), most):
        yield items[start : start + most]
