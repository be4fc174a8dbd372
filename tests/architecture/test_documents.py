"""What the documents point to is there: links, files, commands, targets, tests and words."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from freshet.cli.main import COMMANDS

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "pipelines").rglob("*.md")], key=str
)
DESIGN: Final = ROOT / "docs/design.md"
"""It also describes parts that are not built yet, and says which: its paths are not looked for."""

RECORDS: Final = sorted(
    path.stem for plane in ("data", "control") for path in (ROOT / "schemas" / plane).glob("*.avsc")
)

LINK: Final = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
CODE: Final = re.compile(r"`([^`\n]+)`")
PATH: Final = re.compile(r"(?:[\w.-]+/)+[\w.-]*\.(?:py|md|yaml|yml|avsc|json|toml|sh)|(?:[\w.-]+/)+")
MAKE: Final = re.compile(r"\bmake ([a-z][a-z-]*)\b")
COMMAND: Final = re.compile(r"\bfreshet ([a-z][a-z-]*)")
TEST: Final = re.compile(r"\b(test_\w+)\b(?!\.py)")
DEFINED: Final = re.compile(r"^ *(?:async )?def (test_\w+)\(", re.MULTILINE)


def identity(path: Path) -> str:
    """How pytest names the case."""
    return str(path.relative_to(ROOT))


def code(document: Path) -> Iterator[str]:
    """Everything set in code type: in line, and the lines of fenced blocks."""
    fenced = False
    for line in document.read_text().splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced:
            yield line
        else:
            yield from CODE.findall(line)


@pytest.fixture(params=DOCUMENTS, ids=identity)
def document(request: pytest.FixtureRequest) -> Path:
    """Each Markdown file."""
    path = request.param
    assert isinstance(path, Path)
    return path


def test_links_lead_somewhere(document: Path) -> None:
    """A relative link is a file or folder that exists."""
    links = [
        link for link in LINK.findall(document.read_text()) if "://" not in link and not link.startswith("mailto:")
    ]
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_files_that_are_named_exist(document: Path) -> None:
    """A path in code type, from the root or from the document's folder."""
    if document == DESIGN:
        return
    paths = [text for text in code(document) if PATH.fullmatch(text) and not text.startswith(".local/")]
    assert [path for path in paths if not ((ROOT / path).exists() or (document.parent / path).exists())] == []


def test_make_targets_exist(document: Path) -> None:
    """What a reader is told to type is in the Makefile."""
    targets = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = {target for text in code(document) for target in MAKE.findall(text)}
    assert named <= {*targets}


def test_commands_exist(document: Path) -> None:
    """`freshet <word>` is a command; the design may name commands that are not built yet."""
    if document == DESIGN:
        return
    named = {word for text in code(document) if text.startswith("freshet ") for word in COMMAND.findall(text)}
    assert named <= {*COMMANDS}


def test_tests_that_are_named_exist(document: Path) -> None:
    """A promise that points to a test points to one that runs; a document's own examples define theirs."""
    known = {name for path in (ROOT / "tests").rglob("*.py") for name in DEFINED.findall(path.read_text())}
    named = {name for text in code(document) for name in TEST.findall(text)}
    assert named <= known | {*DEFINED.findall(document.read_text())}


def test_every_trace_names_a_test_or_says_that_it_is_not_built() -> None:
    """An interleaving that breaks a naive version is shown not to break this one, or is not claimed."""
    lines = (ROOT / "docs/traces.md").read_text().splitlines()
    traces = [cells for line in lines if len(cells := line.split("|")) == 5 and re.match(r" [A-Z]\d", cells[1])]
    assert len(traces) > 40
    assert [cells[1] for cells in traces if not TEST.search(cells[3]) and "not built yet" not in cells[3]] == []


def test_no_row_of_the_failures_table_occurs_twice() -> None:
    """Two rows of one fault would tell two stories; tables have equal heads."""
    lines = (ROOT / "docs/failures.md").read_text().splitlines()
    cells = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    rows = [cell for cell in cells if cell != "dies"]
    assert rows
    assert [row for row in rows if rows.count(row) > 1] == []


def test_every_row_of_the_failures_table_names_a_test() -> None:
    """Nothing is said of a failure that no test shows."""
    lines = (ROOT / "docs/failures.md").read_text().splitlines()
    cases = [cells for line in lines if len(cells := line.split("|")) == 6 and cells[1].strip() not in {"dies", "---"}]
    assert len(cases) > 30
    assert [cells[1] for cells in cases if not TEST.search(cells[4])] == []


def test_every_promise_of_determinism_names_the_test_that_holds_it() -> None:
    """What is said to be repeatable was repeated. That the tests exist is tested above, for all documents."""
    lines = (ROOT / "docs/determinism.md").read_text().splitlines()
    promises = [cells for line in lines if re.match(r"\| D\d", line) and len(cells := line.split("|")) == 6]
    assert [cells[1].strip() for cells in promises] == [f"D{number}" for number in range(1, len(promises) + 1)]
    assert len(promises) >= 12
    assert [cells[1] for cells in promises if not TEST.search(cells[4])] == []


@pytest.mark.parametrize("record", RECORDS)
def test_the_glossary_has_the_word_for_every_message(record: str) -> None:
    """A record's name is a term of the field or of ours: one word, one meaning, written down once."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", record).lower().removesuffix(" record").removesuffix(" state")
    terms = {
        term.strip().replace("-", "")
        for line in (ROOT / "docs/glossary.md").read_text().splitlines()
        for term in line.split("|")[1:2]
        for term in term.split("/")
    }
    assert words in terms
