"""The gateway over HTTP, on a bus in memory: every refusal, the token, and the tail."""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from structlog.testing import capture_logs

from freshet.avro import Encoder
from freshet.avro.control import encode
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.avro.parsing import parse
from freshet.avro.plan import column_of, plan_of
from freshet.contracts.messages import PipelineRecord
from freshet.contracts.shipped import pipelines_dir
from freshet.contracts.topic_table import TopicNames
from freshet.gateway import answers_reading, lanes
from freshet.gateway.core.limits import Room
from freshet.gateway.core.refused import RefusedRequestError
from freshet.gateway.gateway_routes import GatewayRoutes
from freshet.gateway.gateway_settings import GatewaySettings
from freshet.gateway.lanes import Lanes, Published
from freshet.gateway.listening import SHOWN, application
from freshet.runtime import edge_body
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import RetriableError, Send
from freshet.runtime.settings import SettingsError
from freshet.runtime.telemetry import Metrics

ROW: Final[dict[str, Any]] = {
    "applicant": "Ada", "salary": 6e4, "commission": 0, "age": 40, "elevel": 2, "car": 3, "zipcode": 4, "hvalue": 1e5,
    "hyears": 5, "loan": 5e4,
}  # fmt: skip
EVENTS: Final = "/pipelines/loans/events"
TOKEN: Final = "a-long-enough-token"


class World:
    """A bus with the pipeline loans, and a gateway on it."""

    def __init__(self, stop: threading.Event, token: str = "", room: Room | None = None) -> None:
        names = TopicNames("", "loans")
        cluster = MemoryCluster()
        cluster.ensure(names, 2)
        self.bus = MemoryBus(cluster, names)
        folder = pipelines_dir() / "loans"
        self.record = PipelineRecord(
            pipeline="loans",
            number=1,
            spec=(folder / "pipeline.yaml").read_text(),
            event_schema=(folder / "event.avsc").read_text(),
            event_schema_id=2**30,
        )
        self.bus.producer().send(Send("pipelines", [b"loans/1"], [encode(self.record)]))
        self.published = Published(self.bus, stop)
        self.published.start()
        while self.published.trouble:
            time.sleep(0.01)
        self.lanes = Lanes(self.bus, "", self.published)
        self.metrics = Metrics(SHOWN)
        self.room = room or Room()
        self.routes = GatewayRoutes(self.lanes, self.metrics, self.room)
        self.application = application(self.routes, token, "")
        self.client = TestClient(self.application, base_url="http://127.0.0.1")

    def publish_anew(self) -> None:
        """The pipeline gets another record; returns when the gateway has seen it."""
        changed = self.record.model_copy(update={"number": 2})
        self.bus.producer().send(Send("pipelines", [b"loans/2"], [encode(changed)]))
        while self.published.records["loans"].number == 1:
            time.sleep(0.01)

    def predict(self, event_id: str, partition: int, offset: int, scores: Sequence[float] = (0.75, 0.25)) -> None:
        """Answer an event."""
        one: dict[str, list[Any]] = {
            "event_id": [event_id], "entity": ["Ada"], "event_time": [0], "label": ["approved"],
            "scores": [list(scores)], "version": ["1.0.0"], "epoch": [1], "fallback": [0], "arm": [0],
            "features_partition": [partition], "features_offset": [0], "source_partition": [partition],
            "source_offset": [offset], "features_topic": [bytes(16)], "source_topic": [bytes(16)],
        }  # fmt: skip
        value = prediction_value(one)
        self.bus.producer().send(Send("predictions", [b"Ada"], [value], [partition]))


def prediction_value(row: dict[str, list[Any]]) -> bytes:
    """A prediction as inference writes it."""
    schema = current_schema("Prediction")
    columns = {leaf.name: column_of(leaf, row[leaf.name]) for leaf in plan_of(parse(schema))}
    return Encoder(schema, schema_id("Prediction")).encode(columns)[0]


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """Set when the test is over."""
    made = threading.Event()
    yield made
    made.set()


@pytest.fixture
def world(stop: threading.Event) -> Iterator[World]:
    """A gateway without a token."""
    made = World(stop)
    with made.client:
        yield made
    made.lanes.end()


def test_an_event_is_acknowledged_with_its_place(world: World) -> None:
    """It lies there; an array gets an array; waiting in vain is no error."""
    answer = world.client.post(EVENTS, json=ROW | {"event_id": "one"})
    placed = answer.json()
    assert answer.status_code == 202
    assert (placed["id"], placed["topic"]) == ("one", "loans.events")
    assert world.bus.spans("events")[placed["partition"]].end == placed["offset"] + 1
    several = world.client.post(f"{EVENTS}?wait=50", json=[ROW, ROW])
    assert several.status_code == 202
    assert [one["offset"] for one in several.json()] == [placed["offset"] + 1, placed["offset"] + 2]
    assert len({one["id"] for one in several.json()}) == 2


def test_who_waits_gets_the_prediction_and_so_does_a_tail(world: World) -> None:
    """As JSON, scores by class."""
    first = world.client.post(EVENTS, json=ROW).json()
    partition, offset = first["partition"], first["offset"] + 1

    def answer_once_it_lies_there() -> None:
        while world.bus.spans("events")[partition].end <= offset:
            time.sleep(0.01)
        world.predict("two", partition, offset)

    answering = threading.Thread(target=answer_once_it_lies_there, daemon=True)
    with world.client.websocket_connect("ws://127.0.0.1/pipelines/loans/predictions/tail") as tail:
        answering.start()
        answer = world.client.post(f"{EVENTS}?wait=30000", json=ROW | {"event_id": "two"})
        row = json.loads(tail.receive_text())
    assert answer.status_code == 200
    assert answer.json()["prediction"] == row
    assert (row["label"], row["scores"], row["version"]) == ("approved", {"approved": 0.75, "declined": 0.25}, "1.0.0")


def test_a_pipeline_that_is_published_anew_is_served_as_it_is_now(world: World) -> None:
    """Readers of the old tail are told to connect again."""
    assert world.client.post(EVENTS, json=ROW).status_code == 202
    (before,) = world.lanes.open().values()
    with world.client.websocket_connect("ws://127.0.0.1/pipelines/loans/predictions/tail") as tail:
        world.publish_anew()
        assert world.client.post(EVENTS, json=ROW).status_code == 202
        with pytest.raises(WebSocketDisconnect) as closed:
            tail.receive_text()
    assert "anew" in closed.value.reason
    (now,) = world.lanes.open().values()
    assert now is not before
    late = now.maker.events([ROW], now_ms=0, new_id=lambda: "late")
    with pytest.raises(RefusedRequestError, match="Nothing was written") as refused:
        asyncio.run(world.routes._written(before, late))
    assert refused.value.status == 503, "a request that had the old lane when it ended does not hang"


def test_a_prediction_of_a_stranger_ends_no_reading(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One with three scores is passed over; a batch that cannot be read for another reason costs only itself."""
    event = ROW | {"event_id": "one"}
    placed = world.client.post(EVENTS, json=event).json()
    broken = threading.Event()

    def unreadable(*_: object) -> None:
        monkeypatch.undo()
        broken.set()
        raise ZeroDivisionError

    world.predict("stranger", 0, 0, scores=(0.5, 0.25, 0.25))
    with world.client.websocket_connect("ws://127.0.0.1/pipelines/loans/predictions/tail") as tail:
        world.predict("one", placed["partition"], placed["offset"])
        assert json.loads(tail.receive_text())["event_id"] == "one"
        monkeypatch.setattr(answers_reading, "prediction_columns", unreadable)
        world.predict("lost", 0, 7)
        assert broken.wait(10)
        world.predict("two", 0, 8)
        assert json.loads(tail.receive_text())["event_id"] == "two"


def test_a_lane_whose_reading_died_is_made_anew(world: World) -> None:
    """Else its callers would get no answers until the gateway is started again."""
    world.client.post(EVENTS, json=ROW)
    (before,) = world.lanes.open().values()
    before._stop.set()
    before._reading.join(10)
    assert world.client.post(EVENTS, json=ROW).status_code == 202
    (now,) = world.lanes.open().values()
    assert now is not before
    assert now.works()


def test_what_is_published_is_followed_after_any_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`/ready` says it, and the next look may succeed."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(lanes, "readable_pipeline_records", broken)
    changed = world.record.model_copy(update={"number": 2})
    world.bus.producer().send(Send("pipelines", [b"loans/2"], [encode(changed)]))
    while not world.published.trouble and world.published.is_alive():
        time.sleep(0.01)
    assert "a fault" in world.client.get("/ready").text
    monkeypatch.undo()
    while world.published.trouble and world.published.is_alive():
        time.sleep(0.01)
    assert world.published.records["loans"].number == 2


def test_a_strangers_record_among_the_pipelines_stops_no_gateway(world: World) -> None:
    """It is left out, as by the services: the gateway is ready, and sees what is published after it."""
    changed = world.record.model_copy(update={"number": 2})
    world.bus.producer().send(Send("pipelines", [b"stranger", b"loans/2"], [b"{}", encode(changed)]))
    deadline = time.monotonic() + 20
    while world.published.records["loans"].number != 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (world.published.records["loans"].number, world.published.trouble) == (2, "")


def test_a_start_without_kafka_is_told_once(stop: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the log, not at `/ready` alone; and once more after Kafka had answered."""
    bus, answers = World(threading.Event()).bus, iter([RetriableError("away")] * 2)
    spans = bus.spans

    def away(role: str) -> object:
        for error in answers:
            raise error
        stop.set()
        return spans(role)

    monkeypatch.setattr(bus, "spans", away)
    monkeypatch.setattr(lanes, "_LOOK_EVERY_S", 0.01)
    with capture_logs() as told:
        Published(bus, stop).run()
    assert [(line["event"], line["error"]) for line in told] == [("no_answer", "away")]


@pytest.mark.parametrize(
    ("row", "field", "says"),
    [
        (ROW | {"age": "old"}, "age", "not a whole number"),
        (ROW | {"ages": 3}, "ages", "did you mean 'age'"),
        ({name: value for name, value in ROW.items() if name != "loan"}, "loan", "every event of loans needs it"),
        (ROW | {"applicant": None}, "applicant", "may not be null"),
        (ROW | {"age": 2**40}, "age", "cannot hold"),
    ],
)
def test_a_bad_event_is_refused_with_field_and_reason(world: World, row: dict[str, Any], field: str, says: str) -> None:
    """Nothing of the request is written, not even the rows that are good."""
    answer = world.client.post(EVENTS, json=[ROW, row] if "ages" in row or row["applicant"] is None else row)
    assert answer.status_code == 400
    assert answer.json()["error"] == "bad_row"
    assert answer.json()["field"] == field
    assert says in answer.json()["why"]
    assert {span.end for span in world.bus.spans("events").values()} == {0}


@pytest.mark.parametrize("body", [rb'{"\ud800": 1}', rb'{"applicant": "\ud800"}', rb'{"at": "\ud800"}'])
def test_half_a_surrogate_pair_is_refused_like_any_bad_event(world: World, body: bytes) -> None:
    """JSON can write it, UTF-8 cannot: neither Kafka nor the answer could have it."""
    answer = world.client.post(EVENTS, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_row")


def test_a_label_is_written_as_feedback_and_a_wrong_one_is_refused(world: World) -> None:
    """Its event id is never made up."""
    truth = {"event_id": "one", "entity": "Ada", "label": "declined"}
    answer = world.client.post("/pipelines/loans/labels", json=truth)
    assert (answer.status_code, answer.json()["topic"]) == (202, "loans.feedback")
    for but, field in (({"label": "perhaps"}, "label"), ({"event_id": None}, "event_id")):
        refused = world.client.post("/pipelines/loans/labels", json=truth | but)
        assert (refused.status_code, refused.json()["field"]) == (400, field)
    assert sum(span.end for span in world.bus.spans("feedback").values()) == 1


def test_other_refusals_have_their_status(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And say what to do."""
    assert world.client.post("/pipelines/lones/events", json=ROW).status_code == 404
    assert "loans" in world.client.post("/pipelines/lones/events", json=ROW).json()["why"]
    assert world.client.post(EVENTS, content=b"x" * 1_100_000, headers=JSON).status_code == 413
    assert world.client.post(EVENTS, content=iter([b" " * 600_000] * 2), headers=JSON).status_code == 413
    assert world.client.post(EVENTS, content=b" " * 20, headers=JSON | {"Content-Length": "10"}).status_code == 413
    two = JSON | {"Content-Length": "10", "Transfer-Encoding": "chunked"}
    assert world.client.post(EVENTS, content=iter([b" " * 20]), headers=two).status_code == 400
    assert world.client.post(EVENTS, content=b"{}").status_code == 415
    assert world.client.post(EVENTS, json=ROW, headers={"Origin": "http://elsewhere.example"}).status_code == 403
    assert world.client.post(EVENTS, json=ROW, headers={"Origin": "http://["}).status_code == 403
    assert world.client.post(EVENTS, json=ROW, headers={"Host": "elsewhere.example"}).status_code == 400
    assert world.client.get("/ready").status_code == 200

    def away(role: str) -> object:
        raise RetriableError(f"{role}: nobody answers.")

    monkeypatch.setattr(world.bus, "spans", away)
    while not world.published.trouble:  # it looks once a second
        time.sleep(0.01)
    assert world.client.get("/ready").status_code == 503
    assert world.client.post(EVENTS, json=ROW).json()["error"] == "kafka_away"


JSON: Final = {"Content-Type": "application/json"}


def test_what_kafka_does_not_acknowledge_is_not_acknowledged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and the caller is told that it may be there all the same. The next request has a producer of its own."""
    world.client.post(EVENTS, json=ROW)
    (lane,) = world.lanes.open().values()

    def silent(*_: object) -> list[int]:
        raise RetriableError("0 of 1 records were acknowledged in time.")

    assert lane.sending._producer is not None
    monkeypatch.setattr(lane.sending._producer, "send", silent)
    answer = world.client.post(EVENTS, json=ROW)
    assert answer.status_code == 503
    assert "not known" in answer.json()["why"]
    assert answer.headers["Retry-After"]
    assert world.client.post(EVENTS, json=ROW).status_code == 202


def test_a_request_whose_turn_came_too_late_hears_that_nothing_was_written(world: World) -> None:
    """Unlike one that Kafka had: it may be sent again without a second copy."""
    world.client.post(EVENTS, json=ROW)
    (lane,) = world.lanes.open().values()
    times = itertools.chain([0.0], itertools.repeat(11.0))
    lane.sending._now_s = lambda: next(times)
    answer = world.client.post(EVENTS, json=ROW)
    assert answer.status_code == 503
    assert "Nothing was written" in answer.json()["why"]
    assert sum(span.end for span in world.bus.spans("events").values()) == 1


def test_too_many_in_flight_are_told_to_come_again(stop: threading.Event) -> None:
    """Nothing of them is written, and room that is free again is given."""
    room = Room(requests=1)
    world = World(stop, room=room)
    with world.client:
        room.enter(0)
        refused = world.client.post(EVENTS, json=ROW)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        room.leave(0)
        assert world.client.post(EVENTS, json=ROW).status_code == 202
        assert room.requests == 0
        measured = world.client.get("/metrics").text
        assert 'route="events",service="gateway",status="429"} 1.0' in measured
        assert 'freshet_records_produced_total{pipeline="loans",service="gateway",topic="events"} 1.0' in measured
    world.lanes.end()


def test_a_caller_that_is_slow_to_send_its_body_gives_its_room_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a few such callers would keep everybody out."""
    monkeypatch.setattr(edge_body, "BODY_S", 0.2)
    seen: list[int] = []

    async def receive() -> dict[str, Any]:
        seen.append(world.room.requests)
        await asyncio.sleep(60)
        raise AssertionError("it was waited for")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"host", b"127.0.0.1"), (b"content-length", b"10")]
    scope = {"type": "http", "method": "POST", "path": EVENTS, "headers": headers, "query_string": b""}

    async def call() -> None:
        await world.application(scope, receive, send)

    asyncio.run(call())
    assert (seen, sent[0]["status"], world.room.requests) == ([1], 408, 0)


def test_with_a_token_nobody_else_gets_in(stop: threading.Event) -> None:
    """Probes and scrapers need none, and no name either: they know a process by its address."""
    world = World(stop, TOKEN)
    with world.client:
        assert world.client.post(EVENTS, json=ROW).status_code == 401
        wrong = {"Authorization": f"Bearer {TOKEN}x"}
        assert world.client.post(EVENTS, json=ROW, headers=wrong).status_code == 401
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert world.client.post(EVENTS, json=ROW, headers=right).status_code == 202
        assert world.client.get("/openapi.json").status_code == 401
        for path in ("/live", "/ready", "/metrics"):
            assert world.client.get(path, headers={"Host": "10.1.2.3:8080"}).status_code == 200
        assert world.client.get("/openapi.json", headers=right | {"Host": "10.1.2.3:8080"}).status_code == 400
    world.lanes.end()


def test_where_others_can_reach_it_a_token_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address decides."""
    monkeypatch.delenv("FRESHET_GATEWAY_TOKEN", raising=False)
    for host in ("127.0.0.1", "::1", "localhost"):
        GatewaySettings.load(host)
    for host in ("0.0.0.0", "10.1.2.3", "some.host"):
        with pytest.raises(SettingsError, match="FRESHET_GATEWAY_TOKEN"):
            GatewaySettings.load(host)
    monkeypatch.setenv("FRESHET_GATEWAY_TOKEN", "short")
    with pytest.raises(SettingsError, match="too short"):
        GatewaySettings.load("127.0.0.1")
    monkeypatch.setenv("FRESHET_GATEWAY_TOKEN", TOKEN)
    GatewaySettings.load("0.0.0.0")
    monkeypatch.setenv("FRESHET_GATEWAY_TOKEN", f"{TOKEN}\n")
    with pytest.raises(SettingsError, match="begins or ends with a blank"):
        GatewaySettings.load("127.0.0.1")


def test_who_waits_for_answers_when_the_gateway_ends_gets_places_at_once(world: World) -> None:
    """The events lie there, and will be answered; only nobody waits for it any more."""
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(world.client.post, f"{EVENTS}?wait=30000", json=ROW | {"event_id": "one"})
        while not any(span.end for span in world.bus.spans("events").values()):
            time.sleep(0.01)
        began_s = time.monotonic()
        world.routes.wait_no_more()
        answer = waiting.result(30)
    assert (answer.status_code, answer.json()["id"], "offset" in answer.json()) == (202, "one", True)
    assert world.client.post(f"{EVENTS}?wait=30000", json=ROW).status_code == 202
    assert time.monotonic() - began_s < 15


def test_a_token_may_hold_any_letters_and_bearer_any_case(stop: threading.Event) -> None:
    """Callers send it in UTF-8."""
    world = World(stop, "ein-schönes-Wort")
    with world.client:
        for scheme in (b"Bearer", b"bearer", b"BEARER "):
            headers = [(b"authorization", scheme + b" " + "ein-schönes-Wort".encode())]
            assert world.client.post(EVENTS, json=ROW, headers=headers).status_code == 202
        for given in ("Basic ein-schönes-Wort", "ein-schönes-Wort", "Bearer", "Bearer  "):
            headers = [(b"authorization", given.encode())]
            assert world.client.post(EVENTS, json=ROW, headers=headers).status_code == 401
    world.lanes.end()
