"""Every event decoder that is found, ours and installed ones, is what a decoder must be."""

import json
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import fastavro
import pytest

from freshet.ingestion.core.decoder import EventDecoder
from freshet.pipeline.catalogue import Catalogue
from freshet.testing import EVENT_SCHEMA, EVENT_SCHEMA_ID, check_decoder

CATALOGUE = Catalogue(EventDecoder, "freshet.decoders")


def framed(event: Mapping[str, Any]) -> bytes:
    """As fastavro and Confluent's frame have it: our codec does not vouch for itself."""
    body = BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(dict(EVENT_SCHEMA)), dict(event))
    return b"\0" + EVENT_SCHEMA_ID.to_bytes(4, "big") + body.getvalue()


WRITERS: dict[str, Callable[[Mapping[str, Any]], bytes]] = {
    "avro": framed,
    "json": lambda event: json.dumps(event).encode(),
}
"""How a producer writes an event in each format. A new decoder adds a line here."""


def test_every_decoder_is_tried() -> None:
    """A decoder without a writer would pass this suite unseen."""
    assert set(WRITERS) == set(CATALOGUE.kinds())


@pytest.mark.parametrize("kind", CATALOGUE.kinds())
def test_a_decoder_keeps_the_promises_of_all(kind: str) -> None:
    """Columns, neighbours, unusable and damaged values: `check_decoder` says which, and it is public."""
    check_decoder(CATALOGUE.find(kind), WRITERS[kind])
