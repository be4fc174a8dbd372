"""What a topic takes is learnt from refusals, and unlearnt when it takes more again."""

from freshet.runtime.bus.protocol import Send
from freshet.runtime.dead_letter_records import CAP_BYTES
from freshet.runtime.dead_letter_records import ROLE as DEAD_LETTERS
from freshet.runtime.record_caps import RecordCaps

MOST_BYTES = 10_000_000


def test_letters_grow_again_when_their_topic_takes_more() -> None:
    """They are made to fit, so no refusal tells of it: the cluster is asked anew now and then, not at each batch."""
    cap_bytes, asked = [3_000], []

    def ask(role: str) -> int:
        asked.append(role)
        return cap_bytes[0]

    now_s = [100.0]
    caps = RecordCaps(ask, reopen=True, most_bytes=MOST_BYTES, now_s=lambda: now_s[0])
    assert caps.of(DEAD_LETTERS) == CAP_BYTES
    caps.refused([Send(DEAD_LETTERS, [b"k"], [bytes(5_000)], [0])], {DEAD_LETTERS})
    assert caps.of(DEAD_LETTERS) == 3_000
    cap_bytes[0] = CAP_BYTES
    assert {caps.of(DEAD_LETTERS) for _ in range(300)} == {3_000}
    now_s[0] += 10
    assert {caps.of(DEAD_LETTERS) for _ in range(300)} == {CAP_BYTES}
    assert len(asked) == 2
