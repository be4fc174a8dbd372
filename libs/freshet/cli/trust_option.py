"""The option `--trust` of commands that look: the trust file, by which they tell a stranger's records."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from freshet.trust.trusted_keys import TrustedKeys

Trust = Annotated[
    Path | None,
    typer.Option(
        envvar="FRESHET_TRUST", metavar="FILE", help="Whose signatures count, where the pipeline demands them."
    ),
]


def trusted_keys(file: Path | None) -> "TrustedKeys | None":
    """The trusted keys of a file. Raises SettingsError if it cannot be used."""
    if file is None:
        return None
    from freshet.runtime.trust_file import TrustFile  # noqa: PLC0415 (it needs an extra)

    return TrustFile(file)()
