"""Ids of topics, and offsets stamped with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshet.contracts.errors import ContractError
from freshet.contracts.position import stamped, unstamped
from freshet.contracts.topic_id import UNKNOWN_BYTES, to_bytes, to_text

ID = "abcdefghijklmnopqrst-w"


@given(st.binary(min_size=16, max_size=16))
def test_an_id_is_the_same_in_text_and_in_bytes(value: bytes) -> None:
    """Text and bytes give each other back; the text holds no slash, which joins the parts of keys."""
    text = to_text(value)
    assert to_bytes(text) == value
    assert len(text) == 22
    assert "/" not in text


def test_an_unknown_id_is_all_zeros() -> None:
    """As Kafka shows it."""
    assert to_text(UNKNOWN_BYTES) == "A" * 22


@pytest.mark.parametrize("text", ["", "A" * 21, "A" * 23, "A" * 21 + "/", "A" * 21 + "\n"])
def test_what_is_no_id_is_refused(text: str) -> None:
    """Nothing is guessed from a text that no broker gave."""
    with pytest.raises(ContractError):
        to_bytes(text)


@pytest.mark.parametrize("metadata", ["", "e=7 f=0", "t=x", "a t=" + ID, f"a t={ID} o=6", "two\nlines"])
def test_a_stamp_comes_off_as_it_was_put_on(metadata: str) -> None:
    """The logic gets back its own words, whatever they are."""
    assert unstamped(stamped(metadata, ID, 5), 5) == (metadata, ID, False)


def test_a_stamp_tells_that_the_number_beside_it_was_changed() -> None:
    """By whoever kept the text. What an older release stamped does not say its offset, and is believed."""
    assert unstamped(stamped("e=7 f=0", ID, 5), 6) == ("e=7 f=0", ID, True)
    assert unstamped(f"e=7 f=0 t={ID}", 6) == ("e=7 f=0", ID, False)


@pytest.mark.parametrize(
    "text", ["", "e=7 f=0", "t=short", f"e=7 f=0t={ID}", f"t={ID} e=7", f"t={ID} o=x", f"t={ID} o="]
)
def test_what_carries_no_stamp_was_not_committed_by_us(text: str) -> None:
    """An operator's tool and an older release commit offsets without one."""
    assert unstamped(text, 5) == (text, "", False)


@pytest.mark.parametrize("behind", ["Q", "0", "\x05V", "�", " o=7", ";"])
def test_what_a_client_reads_behind_the_stamp_is_no_part_of_it(behind: str) -> None:
    """librdkafka hands metadata on without an end: a digit behind the offset would make it another offset."""
    assert unstamped(stamped("e=7 f=0", ID, 5) + behind, 5) == ("e=7 f=0", ID, False)
