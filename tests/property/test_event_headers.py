"""Whatever a producer writes into the headers that Freshet reads, the event has one answer and nothing raises."""

from hypothesis import example, given
from hypothesis import strategies as st

from freshet.contracts.headers import ARRIVED_MS, REDRIVE_OF
from freshet.runtime.dead_letter_records import origin
from support.ingestion import NOW_MS, batch, dead, framed, loan, serving, written

LOGIC = serving()
NAMES = st.sampled_from([ARRIVED_MS, REDRIVE_OF, "traceparent", "freshet.role", "freshet.partition", "freshet.offset"])
DIGITS = st.text("0123456789-+_ .e", max_size=30).map(str.encode)
NUMBERS = st.integers(-(2**70), 2**70).map(lambda number: str(number).encode())
UNICODE = st.text(st.characters(categories=["Nd", "No"]), max_size=20).map(str.encode)
VALUES = st.one_of(st.none(), DIGITS, NUMBERS, UNICODE, st.binary(max_size=40))
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=6)


@given(HEADERS, st.sampled_from([0, -(2**63), NOW_MS, 2**63 - 1]))
@example([(REDRIVE_OF, b"x"), (ARRIVED_MS, b"1" * 4301)], 0)
@example([(REDRIVE_OF, b"x"), (ARRIVED_MS, b"9" * 19)], 2**63 - 1)
@example([("freshet.role", b"events"), ("freshet.partition", b"1" * 4301), ("freshet.offset", b"1" * 4301)], 0)
def test_each_event_has_one_answer_whatever_its_headers_say(headers: list[tuple[str, bytes | None]], at: int) -> None:
    """A feature vector or a dead letter; one that raised would stop its partition at every start."""
    effects = list(LOGIC.on_batch(batch([framed(loan(at=at))], headers=headers)))
    assert len(written(effects)) + len(dead(effects)) == 1
    origin(headers)
