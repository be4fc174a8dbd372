"""Which columns may be an event's id, entity and time, and why: what `replay` would refuse later is refused at once."""

from collections.abc import Mapping, Sequence

from freshet.contracts.errors import ContractError
from freshet.operate.operate_error import OperateError
from freshet.operate.tables.cells import TimeFormat
from freshet.operate.tables.guesses import Column, Roles
from freshet.operate.tables.made_up import made_up_entities


def refuse_what_replay_would(columns: Mapping[str, Column], roles: Roles, now_ms: int | None) -> None:
    """Raise ContractError or OperateError for a column that cannot have its role: its rows would be refused later."""
    for role, title in roles.titles.items():
        found = columns[title] if title else None
        if found is None and role == "event_time":
            found = next((column for column in columns.values() if column.either), None)
        if found is None:
            continue
        if found.either and role == "event_time":
            raise ContractError(
                f"column {found.title!r} cannot be the event's time: day and month of {found.distinct[0]!r} and the "
                "like cannot be told apart in any row. Say how they are written: "
                f"{' or '.join(f'--time-format {form!r}' for form in found.either)}."
            )
        if role == "event_time" and found.time is None:
            raise ContractError(
                f"column {title!r} cannot be the event's time: {found.cells[0]!r} and the like are no times that can "
                "be told apart. Say how they are written with --time-format, or leave --event-time out."
            )
        if role == "event_time" and not found.acceptable_at(now_ms):
            raise ContractError(
                f"column {title!r} holds times that lie more than ten years back, or ahead: such events are refused. "
                "Leave --event-time out, and the time of sending is used."
            )
        if not all(found.cells):
            raise ContractError(f"column {title!r} cannot be the {role}: some of its cells are blank.")
        if role == "event_id" and not found.unique:
            raise OperateError(
                f"column {title!r} cannot be the event's id: it has {found.counted}: labels could not be told apart. "
                "Name another with --event-id; where there is none, leave it out (and rename a column `event_id`).",
                "usage",
            )


def written_so(columns: Mapping[str, Column], title: str | None, said: TimeFormat, now_ms: int | None) -> str | None:
    """The column of the event's time, where it was said how times are written; None if all such lie too far away."""
    found = [column for column in columns.values() if column.time == said]
    if title is not None and columns[title] not in found:
        odd = next((cell for cell in columns[title].distinct if not said.reads(cell)), "")
        raise ContractError(f"column {title!r} holds {odd!r}, which is not written {said.name} (--time-format).")
    if not found:
        likely = max(columns.values(), key=lambda column: (column.named_time, bool(column.time or column.either)))
        odd = next((cell for cell in likely.distinct if not said.reads(cell)), "")
        raise ContractError(
            f"no column holds nothing but times that are written {said.name} (--time-format): column "
            f"{likely.title!r} holds {odd!r}."
        )
    fit = [column for column in found if not column.blank and column.acceptable_at(now_ms)]
    best = max(fit, key=lambda column: column.named_time, default=None)
    return title or (best.title if best else None)


def why_of(role: str, found: Column | None, given: str | None, rest: Sequence[Column]) -> str:
    """In words, why a column has its role; None is a role without a column. `rest` are the columns without a role."""
    if found is None:
        times = [other for other in rest if role == "event_time" and other.is_time]
        if times:
            why = "has blank cells" if times[0].blank else "lies more than ten years back, or ahead"
            return f"column {times[0].title} {why}, so it is not taken: `freshet replay` fills in the time of sending"
        which = f", with {made_up_entities(role)} in turn" if role == "entity" else ""
        return f"no column of the table is one: `freshet replay` fills it in{which}"
    how = "as you said" if given else "guessed"
    if role == "event_time" and found.time:
        written = (
            f"in {found.time.unit} since 1970"
            if found.kind == "integer" and found.time.text == "ISO 8601"
            else found.time.text
        )
        return f"{how}: column {found.title}, written {written}"
    if role == "event_id":
        return f"{how}: column {found.title}, each value is there once"
    order = (
        "each row has its own, so there is no order to keep"
        if found.unique
        else "keyed by it, its events keep their order"
    )
    return f"{how}: column {found.title}, {found.counted}: {order}"
