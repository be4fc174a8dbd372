"""Trace context and CloudEvents headers go on to features where the pipeline says `headers: pass`."""

import pytest

from freshet.contracts.batch import Headers
from freshet.contracts.headers import MAX_BYTES
from freshet.contracts.logic import Publish
from support.ingestion import SPEC_TEXT, batch, framed, loan, serving

PASSING = SPEC_TEXT.replace("entity: applicant", "entity: applicant\nheaders: pass")
TRACE = ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


def told(text: str, headers: Headers | None) -> object:
    """The headers of the vectors of one event."""
    effects = serving(text).on_batch(batch([framed(loan())], headers=headers))
    (publish,) = (effect for effect in effects if isinstance(effect, Publish))
    return publish.headers


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ([("x", b"1"), TRACE, ("ce_id", b"7"), ("ce_id", None)], [[TRACE, ("ce_id", b"7"), ("ce_id", None)]]),
        ([("x", b"1"), ("content-type", b"application/avro")], None),
        (None, None),
        ([TRACE, ("ce_big", bytes(MAX_BYTES))], None),
    ],
)
def test_only_what_is_meant_for_everybody_goes_on(headers: Headers | None, kept: object) -> None:
    """In the producer's order, values untouched; what would make records large is left out; nothing costs nothing."""
    assert told(PASSING, headers) == kept
    assert told(SPEC_TEXT, headers) is None
