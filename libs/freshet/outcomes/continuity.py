"""Whether the labelled log is whole: each record says how many rows of its partition lie before it."""

from collections.abc import Mapping

from freshet.contracts.errors import ContractError
from freshet.contracts.messages import Outcomes


def next_rows(expected: Mapping[int, int], record: Outcomes, offset: int) -> dict[int, int]:
    """The next row number of each partition after this record; a partition not in `expected` may begin anywhere.

    Raises ContractError where rows are missing or come twice, as all counts after that would be wrong.
    """
    due = expected.get(record.partition, record.first_row)
    if due != record.first_row:
        what = "were lost" if record.first_row > due else "came twice"
        first, end = sorted((due, record.first_row))
        raise ContractError(
            f"rows {first} to {end} of partition {record.partition} {what} before record {offset} of the outcomes: "
            "the topic was changed by other hands, or its oldest records have expired unread. Publish the pipeline "
            "under a new name, or bring the topic back from a backup."
        )
    return {**expected, record.partition: record.first_row + record.rows}
