"""Spoiled events: ingestion must refuse every one of them, and nothing else."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from freshet.avro import Columns, Enum, Nullable, Strings
from freshet.avro.own_schemas import Schema, event_schema_id
from freshet.contracts.batch import Batch
from freshet.contracts.errors import ContractError
from freshet.contracts.messages import PipelineRecord
from freshet.contracts.shipped import pipelines_dir
from freshet.contracts.topic_id import UNKNOWN_BYTES
from freshet.ingestion.core.conversion_plan import build_plan
from freshet.lab.corruption import KINDS, Corrupter
from freshet.operate.event_values import event_encoder
from freshet.pipeline import PipelineSpec, load_folder
from freshet.runtime.bus.memory.partition_log import At, MemoryRecord, Payload

NOW_MS = 1_700_000_000_000
ROWS = 400

SHOP_SCHEMA: Schema = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "shop", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "sum", "type": ["null", "float"], "default": None},
        {"name": "way", "type": {"type": "enum", "name": "Way", "symbols": ["CARD", "CASH", "OTHER"]}},
        {"name": "country", "type": "string"},
    ],
}
SHOP = """
pipeline: shop
entity: shop
event_id: id
event_time: at
decoder: {decoder}
rules:
  - {{field: sum, min: -5, max: 1000}}
  - {{field: way, one_of: [CARD, CASH]}}
  - {{field: country, one_of: [NL, BE]}}
features: {{version: 1, columns: [{{kind: field, of: sum}}]}}
target: {{classes: ["no", "yes"]}}
"""


def shop_events(n: int) -> Columns:
    rng = np.random.default_rng(1)
    return {
        "id": Strings.from_list([f"order-{row}" for row in range(n)]),
        "shop": Strings.from_list([f"shop-{row % 7}" for row in range(n)]),
        "at": np.full(n, NOW_MS * 1000, np.int64),
        "sum": Nullable(rng.uniform(0, 900, n).astype(np.float32), np.ones(n, np.bool_)),
        "way": Enum(rng.integers(2, size=n).astype(np.int32), ("CARD", "CASH", "OTHER")),
        "country": Strings.repeat("NL", n),
    }


def loan_events(n: int) -> Columns:
    numbers: Mapping[str, Any] = {
        "salary": 50_000.0,
        "commission": 0.0,
        "age": np.int32(40),
        "elevel": np.int32(2),
        "car": np.int32(3),
        "zipcode": np.int32(4),
        "hvalue": 100_000.0,
        "hyears": np.int32(5),
        "loan": 9_000.0,
    }
    return {
        "event_id": Strings.from_list([f"loan-{row}" for row in range(n)]),
        "applicant": Strings.from_list([f"applicant-{row % 7}" for row in range(n)]),
        "at": np.full(n, NOW_MS, np.int64),
        **{name: np.full(n, value) for name, value in numbers.items()},
    }


def case(name: str) -> tuple[PipelineSpec, str, Schema, Columns]:
    if name == "loans":
        spec, text, schema = load_folder(pipelines_dir() / "loans")
        return spec, text, schema, loan_events(ROWS)
    text = SHOP.format(decoder=name)
    return PipelineSpec.parse(text), text, SHOP_SCHEMA, shop_events(ROWS)


def refused_rows(text: str, schema: Schema, values: list[bytes | None]) -> set[int]:
    """Rows that ingestion sets aside."""
    schema_id = event_schema_id(schema)
    record = PipelineRecord(
        pipeline="p", number=1, spec=text, event_schema=json.dumps(schema), event_schema_id=schema_id
    )
    converter = build_plan(record, {schema_id: schema}).converters["events"]
    at = At("events", 0)
    batch = Batch("events", [MemoryRecord(at, row, NOW_MS, Payload(b"k", value)) for row, value in enumerate(values)])
    answer = converter.answer(batch, converter.read(batch), UNKNOWN_BYTES)
    assert len(answer.refused) + len(answer.at) == len(values)
    return {refused.row for refused in answer.refused}


@pytest.mark.parametrize("name", ["loans", "avro", "json"])
def test_every_spoiled_event_is_refused_and_no_other(name: str) -> None:
    """Each kind that fits the pipeline ends as a dead letter on every row, and leaves its neighbours alone."""
    spec, text, schema, columns = case(name)
    values = event_encoder(spec, schema, event_schema_id(schema))(columns)
    assert refused_rows(text, schema, list(values)) == set()
    for kind in Corrupter(spec, schema, event_schema_id(schema)).fitting:
        corrupter = Corrupter(spec, schema, event_schema_id(schema), only=[kind])
        spoiled, kinds = corrupter.corrupt_some(np.random.default_rng(7), 0.2, values, columns)
        assert set(kinds.values()) == {kind}
        assert refused_rows(text, schema, spoiled) == set(kinds), kind


def test_every_kind_is_tried_above() -> None:
    """No kind is left untested because it fits none of the pipelines above."""
    tried: set[str] = set()
    for name in ("loans", "avro", "json"):
        spec, _, schema, _ = case(name)
        tried |= set(Corrupter(spec, schema, 1).fitting)
    assert tried == set(KINDS)


def test_the_same_seed_spoils_alike() -> None:
    """A replay can be repeated byte for byte, and another seed gives another one."""
    spec, _, schema, columns = case("avro")
    corrupter = Corrupter(spec, schema, 1)
    values = event_encoder(spec, schema, 1)(columns)
    first, again, other = (
        corrupter.corrupt_some(np.random.default_rng(seed), 0.5, values, columns) for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_a_kind_that_does_not_fit_is_refused_with_those_that_do() -> None:
    """Loans have no enum: asking for a bad symbol says so, rather than sending good events as bad ones."""
    spec, _, schema, _ = case("loans")
    with pytest.raises(ContractError, match=r"'bad_symbol'; they can as truncated, "):
        Corrupter(spec, schema, 1, only=["bad_symbol"])
