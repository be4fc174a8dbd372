"""What `freshet verify` takes from the offsets that a group has committed."""

from freshet.contracts.position import stamped
from freshet.operate.verify.collect import collect
from freshet.runtime.bus.protocol import Committed
from support.loops import NAMES, Stand


def test_a_number_that_was_changed_beside_our_text_has_no_position() -> None:
    """The text is of another offset: what it says of history is not held for what was committed here."""
    bus = Stand().bus
    text = stamped("e=2 f=0", bus.topic_id("features"), 5)
    offsets = {"features": {0: Committed(5, text), 1: Committed(6, text)}}
    evidence = collect(bus, NAMES.pipeline, lambda _service, role: offsets.get(role, {}))
    assert evidence.features_read.committed == {0: 5, 1: 6}
    assert evidence.features_read.metadata == {0: "e=2 f=0", 1: text}
