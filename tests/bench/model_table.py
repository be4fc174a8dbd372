"""The table of docs/models.md: one row for each kind of model, kept between two marks on the page."""

from collections.abc import Iterable
from typing import Final

BEGIN, END = "<!-- made by `make models` -->", "<!-- end -->"
NOT_RUN: Final = "not run: not installed here"
KEPT: Final = " (not measured in this run)"

Row = tuple[str, str, str]
"""The kind of model, and a cell each for training on float64 and on float32."""


def written(page: str, rows: Iterable[Row]) -> str:
    """The page with these rows between its marks.

    A cell that was not run, since the library is absent, keeps what an earlier run had measured, and says so.
    """
    before, _, rest = page.partition(BEGIN)
    old, _, after = rest.partition(END)
    known = _cells(old)
    lines = ["| model | trained on float64 | trained on float32 |", "|---|---|---|"]
    for name, *cells in rows:
        shown = map(_kept, cells, known.get(name, [NOT_RUN] * len(cells)))
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}"


def _kept(cell: str, old: str) -> str:
    if cell != NOT_RUN or old == NOT_RUN:
        return cell
    return old.removesuffix(KEPT) + KEPT


def _cells(table: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines() if " | " in line]
    return {name: cells for name, *cells in rows}
