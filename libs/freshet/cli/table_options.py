"""Options that say how a table is written."""

from typing import Annotated

import typer

Delimiter = Annotated[str | None, typer.Option(help="What separates columns; found by looking.")]
Encoding = Annotated[str | None, typer.Option(help="Such as utf-8 or latin-1; found by looking.")]
TimeFormat = Annotated[
    str | None,
    typer.Option(metavar="FORMAT", help="How times are written, such as '%d/%m/%Y %H:%M'; found by looking."),
]
Na = Annotated[
    list[str] | None,
    typer.Option("--na", metavar="TEXT", help="A cell with this text has no value, as a blank one; may be repeated."),
]
Decimal = Annotated[
    str | None, typer.Option(metavar=". or ,", help="The decimal sign, where a column's numbers do not show it.")
]
