"""The client: one object for a Kafka and a namespace on it."""

import json
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from freshet.avro.event_fields import event_fields
from freshet.client.client_errors import ClientError, NotSentError
from freshet.client.event_records import RecordMaker
from freshet.client.one_row import Answer, Follower
from freshet.client.predictions import Predictions, Since, read_predictions
from freshet.client.python_rows import Rows
from freshet.contracts.messages import PipelineRecord
from freshet.contracts.topic_table import TopicNames
from freshet.ledger.versions import REFUSED_AGAIN, said_again
from freshet.models.classes import Labels
from freshet.models.contract import TOLERANCE
from freshet.operate.connection import PATIENCE_S, local_broker, settings_for
from freshet.operate.facts import not_there
from freshet.operate.operate_error import LocalError, OperateError
from freshet.operate.pipeline_view import View
from freshet.operate.tables.titles import fields_by_title
from freshet.pipeline import PipelineSpec
from freshet.runtime.artifacts import publish_model
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.protocol import BusError, Producer, Send
from freshet.runtime.publishing import newest, readable_pipeline_records
from freshet.runtime.settings import BOOTSTRAP_VARIABLE

_SEND_ROWS: Final = 1000


class Client:
    """Publishes models, sends events and reads predictions. Use it as a context manager, or `close` it.

    Every method blocks, and raises FreshetError (ClientError, ModelError, BusError, …) with a sentence that says what
    to do. Not thread-safe: give each thread a client of its own.
    """

    def __init__(self, bootstrap: str | None = None, *, namespace: str | None = None) -> None:
        """`bootstrap` is Kafka's address; by default KAFKA_BOOTSTRAP_SERVERS, else the local broker of this folder.

        `namespace` is FRESHET_NAMESPACE by default; TLS and SASL come from FRESHET_KAFKA. Asks nothing of Kafka yet.
        """
        self._settings = settings_for(bootstrap or default_bootstrap(), namespace=namespace)
        self._producers: dict[str, Producer] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the connections. What was sent is acknowledged already."""
        for producer in self._producers.values():
            producer.close()
        self._producers.clear()

    def publish(
        self,
        model: Any,
        *,
        pipeline: str,
        sample: Any = None,
        columns: Sequence[str] | None = None,
        labels: Labels | None = None,
        output_name: str | None = None,
        max_gap: float = TOLERANCE,
        lineage: Mapping[str, str] | None = None,
        timeout_s: float = 150.0,
    ) -> str:
        """Pack a model, publish it, and wait for the registry's verdict; returns the version, such as `1.0.0`.

        `model`: a fitted estimator, the path of a .joblib, .pkl, .txt (LightGBM) or .onnx file, or of a folder that
        `freshet model pack` wrote. `sample`: rows of features as the model will see them, an array or named columns (a
        DataFrame, a dict); not needed for a folder.

        The rest is as in `freshet model pack`, whose options messages name: `columns` (--columns) are the features
        that a model without names reads, in its order; `labels` (--label) says which class a label stands for;
        `output_name` is the output with the scores of a .onnx file that has several; `max_gap` is how far the packed
        model's scores may lie from the original's.

        Whether the version then answers is the pipeline's rollout policy. The same model published again with the same
        sample has the same version. Raises ModelError if it cannot be packed, ClientError if it is refused, or if no
        registry answers in time: the model is published then, and will be judged once one runs.
        """
        try:  # whoever only sends and reads needs no library for models
            from freshet.client.model import PackOptions, bundle_of  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ClientError(f"a model is packed with {error.name}: pip install 'freshet[pack]'.") from error
        bus = self._bus(pipeline)
        options = PackOptions(columns, labels, output_name, max_gap, lineage)
        bundle = bundle_of(model, sample, self._published(pipeline)[1], options)
        if bundle.manifest.pipeline != pipeline:
            raise ClientError(f"the bundle was packed for pipeline {bundle.manifest.pipeline}, not for {pipeline}.")
        view = View(bus, pipeline)
        try:
            offset = publish_model(self._producer(pipeline), bundle.data, bundle.manifest, bundle.signatures).offset
            versions = view.ledger.versions
            verdict = view.wait("the verdict", lambda _: versions.verdict(bundle.manifest, offset), timeout_s)
        except LocalError as error:
            raise ClientError(
                f"no registry gave its verdict within {timeout_s:g} s: is one running? The model is published, and "
                "will be judged once `freshet run registry` runs."
            ) from error
        finally:
            view.close()
        if not verdict.version:
            raise ClientError(f"the model was refused: {verdict.reason}")
        if (again := said_again(verdict)).startswith(REFUSED_AGAIN):
            raise ClientError(f"{verdict.version} was {again}")
        return verdict.version

    def send(self, pipeline: str, rows: Rows) -> dict[str, Any]:
        """Send events; returns where they lie, in order: numpy columns `event_id`, `entity`, `partition`,
        `offset`.

        `rows`: dicts, a dict of columns, or a DataFrame; what may be left out and how values are read is told at
        `event_columns` in `freshet.client.python_rows`. All rows are looked at before the first is sent: RowError sends
        nothing. Written idempotently in the order given, keyed by entity and partitioned as Java does, and acknowledged
        by all replicas when this returns. NotSentError says how many rows were acknowledged before Kafka failed.
        """
        now_ms = time.time_ns() // 1_000_000
        maker = RecordMaker(self._published(pipeline)[0])
        records = maker.events(rows, now_ms=now_ms, new_id=lambda: str(uuid.uuid4()))
        count = len(self._bus(pipeline).spans("events"))
        if not count:
            raise ClientError(f"pipeline {pipeline} has no events topic: `freshet apply` creates it.")
        partitions = records.partitions(count)
        offsets = self._sent(pipeline, records.keys, records.values, partitions)
        return {
            "event_id": np.array(records.ids, np.str_),
            "entity": np.array(records.entities, np.str_),
            "partition": np.array(partitions, np.int64),
            "offset": np.array(offsets, np.int64),
        }

    def predictions(
        self, pipeline: str, *, since: Since = None, limit: int | None = None, timeout_s: float = 30.0
    ) -> Predictions:
        """Predictions as columns, only committed ones: each event is there once. See `Predictions` for the columns.

        `since`: a datetime, milliseconds since 1970, a timedelta before now, or offsets by partition (`.next` of an
        earlier result); by default all that the topic holds. Within a partition they come in its order.

        Without `limit`: all that is there now; RetriableError if that takes longer than `timeout_s`. With it: at most
        so many, waited for up to `timeout_s`; fewer if the time is over, none is no error.
        """
        outputs = len(self._published(pipeline)[1].target.classes) or 1
        return read_predictions(self._bus(pipeline), outputs, since, limit, timeout_s)

    def predict(
        self,
        pipeline: str,
        row: Mapping[str, Any],
        *,
        timeout_s: float = 10.0,
        on_slow: Callable[[str], object] = lambda _: None,
    ) -> Answer:
        """Send one event under a fresh id, and wait for what becomes of it: features and prediction, or a dead letter.

        It is an event like any other, and stays on the topics. After 5 s `on_slow` gets a sentence that says who is not
        there. Raises RowError, or NotAnsweredError when the time is over; it is answered all the same once somebody is.
        """
        record, spec = self._published(pipeline)
        schema = json.loads(record.event_schema)
        whole = event_fields(schema)[spec.event_id].kind == "integer"
        titles = fields_by_title(schema)
        others = {name: value for name, value in row.items() if titles.get(name) != spec.event_id}
        fresh = uuid.uuid4()
        follower = Follower(self._bus(pipeline), spec)
        try:
            sent = self.send(pipeline, [{**others, spec.event_id: fresh.int >> 66 if whole else str(fresh)}])
            at = (int(sent["partition"][0]), int(sent["offset"][0]))
            answer = Answer(str(sent["event_id"][0]), str(sent["entity"][0]), at)
            follower.follow(answer, timeout_s, on_slow)
            return answer
        finally:
            follower.close()

    def classes(self, pipeline: str) -> tuple[str, ...]:
        """What the scores of a prediction stand for, in their order; empty if the pipeline predicts a value."""
        return self._published(pipeline)[1].target.classes

    def _published(self, pipeline: str) -> tuple[PipelineRecord, PipelineSpec]:
        records = newest(readable_pipeline_records(self._bus(""), pipeline))
        if pipeline not in records:
            found = self._settings
            raise ClientError(not_there(pipeline, records, found.bootstrap_servers, found.namespace))
        return records[pipeline], PipelineSpec.parse(records[pipeline].spec)

    def _bus(self, pipeline: str) -> KafkaBus:
        found = self._settings
        names = TopicNames(found.namespace, pipeline)
        return KafkaBus(found.bootstrap_servers, names, extra=found.kafka, patience_s=PATIENCE_S)

    def _producer(self, pipeline: str) -> Producer:
        if pipeline not in self._producers:
            self._producers[pipeline] = self._bus(pipeline).producer()
        return self._producers[pipeline]

    def _sent(self, pipeline: str, keys: Sequence[bytes], values: Sequence[bytes], partitions: list[int]) -> list[int]:
        offsets: list[int] = []
        for first in range(0, len(values), _SEND_ROWS):
            part = slice(first, first + _SEND_ROWS)
            try:
                offsets += self._producer(pipeline).send(Send("events", keys[part], values[part], partitions[part]))
            except BusError as error:
                raise NotSentError(
                    f"{len(offsets):,} of {len(values):,} rows are acknowledged; of the next {_SEND_ROWS:,} it is not "
                    f"known: {error}",
                    len(offsets),
                ) from error
        return offsets


def default_bootstrap() -> str | None:
    """For whoever names no Kafka: the address of this folder's local broker, unless the environment names a Kafka."""
    if os.environ.get(BOOTSTRAP_VARIABLE):
        return None
    try:
        return local_broker("give bootstrap=")
    except OperateError as error:
        raise ClientError(str(error)) from error
