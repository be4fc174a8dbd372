"""What is wrong with a pipeline, and on which line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from freshet.contracts.errors import ContractError


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to correct: the line (from 1, or 0 if it is about the whole file), and a sentence with what to do."""

    line: int
    message: str
    file: str = "pipeline.yaml"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


class PipelineError(ContractError):
    """A pipeline that cannot be used; lists every problem found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))


def unknown(what: str, name: object, known: Sequence[str]) -> str:
    """The sentence about an unknown name: the most similar known one, if there is one, then all of them."""
    near = get_close_matches(str(name), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {name!r}.{hint} Known are {', '.join(known)}."
