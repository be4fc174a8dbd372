"""Whether a partition may go on from its committed offset, given what we answered and what the topic holds."""

from freshet.runtime.bus.protocol import SESSION_TIMEOUT_S, Committed, FatalError, Place, Span


def checked(
    place: Place, committed: Committed | None, recovered: Committed | None, span: Span, origin: str
) -> Committed:
    """The position to go on from; raises FatalError where going on would answer something twice or skip it unseen."""
    said = (committed.metadata if committed else "") or origin
    if recovered is not None and recovered.offset > span.high:
        raise lost_end(place, recovered.offset, span)
    if committed is not None and committed.offset > span.high:
        raise _reset_beyond_end(place, committed.offset, recovered, span)
    if recovered is None:
        if committed is not None and not committed.metadata and committed.offset > span.low:
            raise _left_out(place, committed.offset, span)
        return Committed(committed.offset if committed else span.low, said)
    if committed is not None and committed.offset < recovered.offset:
        raise FatalError(
            f"{place.role}/{place.partition} was reset to {committed.offset}, but is answered up to {recovered.offset}"
            f": reading again would answer it twice. {set_to(recovered.offset)}, or replay into another pipeline. "
            "`freshet doctor` shows the group's offsets."
        )
    # Below what the topic still holds it starts there, too: the broker then refuses it, and what expired is not skipped
    # unseen but stops the service, or leaves its dead letter.
    return Committed(recovered.offset, recovered.metadata or said)


def _reset_beyond_end(place: Place, offset: int, recovered: Committed | None, span: Span) -> FatalError:
    """An offset without our stamp was set by a tool, so it does not show that the log has become shorter."""
    right, why = (
        (span.low, "where the topic begins") if recovered is None else (recovered.offset, "behind what is answered")
    )
    return FatalError(
        f"{place.role}/{place.partition}: the group's committed offset {offset} lies beyond the end of the topic, "
        f"{span.high}. A tool has set it there: Freshet did not commit it. All records before it would "
        f"never be answered. {set_to(right)}, {why}."
    )


def _left_out(place: Place, offset: int, span: Span) -> FatalError:
    """An operator's tool set the offset (it leaves no metadata) beyond records that nobody has answered."""
    return FatalError(
        f"{place.role}/{place.partition} was reset to {offset}, but nothing that lies before it has an answer: those "
        f"records would be left out. {set_to(span.low)}, where the topic begins. If they are not to be answered, "
        "delete them first (`kafka-delete-records.sh`): then the topic begins behind them."
    )


def set_to(offset: int) -> str:
    """How a group's offset is set: Kafka refuses that while it still counts a member, and a fixed slot never leaves."""
    return (
        f"Stop the service, wait {SESSION_TIMEOUT_S} s until its group is empty, and set the group's offset with "
        f"`kafka-consumer-groups.sh --reset-offsets` to {offset}"
    )


def lost_end(place: Place, position: int, span: Span) -> FatalError:
    """The log is shorter than what we have read of it: new records would take offsets that are answered already."""
    return FatalError(
        f"{place.role}/{place.partition} ends at {span.high}, but was read up to {position}: the log lost its end (an "
        "unclean leader election, or a restored backup), and new records would take numbers that are answered already. "
        "Delete the topic and make it anew (`freshet topics apply`): its answers then carry its new id. What was lost "
        "must be sent again."
    )
