"""The shipped `schemas/` folder is in order, and every way of breaking it is found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from freshet.contracts.errors import SchemaError
from freshet.contracts.shipped import schemas_dir
from tools.schemas import SchemaFolder, check_folder, release
from tools.schemas.__main__ import main

Break = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped folder, to be broken."""
    return Path(shutil.copytree(schemas_dir(), tmp_path / "schemas"))


def problems(root: Path) -> str:
    """Everything that is found, as text."""
    return "\n".join(str(problem) for problem in check_folder(SchemaFolder.load(root)))


def edit(root: Path, file: str, change: Callable[[Any], object]) -> None:
    """Change a JSON file in place."""
    data = json.loads((root / file).read_text())
    change(data)
    (root / file).write_text(json.dumps(data, indent=2) + "\n")


def edit_row(root: Path, row: int, **values: Any) -> None:
    """Change one line of the lock."""
    edit(root, "registry.lock.json", lambda lock: lock["schemas"][row].update(values))


def write_release(root: Path) -> dict[str, str]:
    """Release, and write the files."""
    files = release(SchemaFolder.load(root))
    for path, text in files.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
    return files


def test_the_shipped_schemas_are_in_order() -> None:
    """What this release ships has no problem at all, and nothing in it waits to be released."""
    assert problems(schemas_dir()) == ""
    assert release(SchemaFolder.load(schemas_dir())) == {}


BREAKS: dict[str, tuple[Break, str]] = {
    "not JSON": (lambda root: (root / "data/Label.avsc").write_text("{"), "data/Label.avsc: is not a JSON object"),
    "not Avro": (
        lambda root: edit(root, "data/Label.avsc", lambda schema: schema["fields"][0].update(type="txt")),
        "schema.event_id: 'txt' is not a type",
    ),
    "unsafe": (
        lambda root: edit(
            root,
            "data/Label.avsc",
            lambda schema: schema["fields"][0].update(type={"type": "array", "items": "null"}),
        ),
        "gigabytes",
    ),
    "misnamed": (
        lambda root: (root / "data/Label.avsc").rename(root / "data/Labels.avsc"),
        "must be named after it",
    ),
    "undocumented field": (
        lambda root: edit(root, "data/Label.avsc", lambda schema: schema["fields"][0].pop("doc")),
        "Label.event_id has no `doc`",
    ),
    "undocumented nested field": (
        lambda root: edit(
            root,
            "control/Rollout.avsc",
            lambda schema: schema["fields"][3]["type"]["items"]["fields"][1].update(doc=" "),
        ),
        "Rollout.table.share has no `doc`",
    ),
    "unreleased change": (
        lambda root: edit(root, "data/Label.avsc", lambda schema: schema.update(doc="Said better.")),
        "is not the newest version in the lock",
    ),
    "history changed": (
        lambda root: edit(root, "history/Label/1.avsc", lambda schema: schema.update(doc="Said better.")),
        "was changed after its release",
    ),
    "history lost": (lambda root: (root / "history/Label/1.avsc").unlink(), "history/Label/1.avsc is missing"),
    "history invented": (
        lambda root: shutil.copy(root / "history/Feedback/1.avsc", root / "history/Feedback/2.avsc"),
        "history/Feedback/2.avsc: is not in the lock",
    ),
    "fingerprint changed": (lambda root: edit_row(root, 0, fingerprint="0" * 16), "its fingerprint is"),
    "id given twice": (lambda root: edit_row(root, 0, id=536870914), "id 536870914 is given 2 times"),
    "id changed": (
        lambda root: edit_row(root, 0, id=999),
        "framed with id 536870913, which is no released FeatureVector",
    ),
    "id of a registry's": (lambda root: edit_row(root, 0, id=100_001), "the ids of schema registries"),
    "id of a user's": (lambda root: edit_row(root, 0, id=1 << 30), "users' event schemas"),
    "version skipped": (lambda root: edit_row(root, 0, version=2), "without a gap"),
    "topic without schema": (
        lambda root: rewrite(root / "topics.yaml", "message: Label", "message: Lable"),
        "labels: there is no schema 'Lable'",
    ),
    "schema without topic": (
        lambda root: rewrite(root / "topics.yaml", "message: Label", "message: Feedback"),
        "no topic carries Label",
    ),
    "another message": (
        lambda root: rewrite(root / "topics.yaml", "message: Decision", "message: Command"),
        "decisions: the message is Command, but control.py reads Decision",
    ),
    "a registry's private topic": (
        lambda root: rewrite(root / "topics.yaml", "name: freshet.schemas", "name: _schemas"),
        "the private log of a user's schema registry",
    ),
    "model and schema differ": (
        lambda root: edit(root, "control/Cutover.avsc", lambda schema: schema["fields"].reverse()),
        "Cutover: the schema's fields are cause, ",
    ),
    "a record without example": (
        lambda root: shutil.rmtree(root / "examples/Label"),
        "examples/Label: no golden record",
    ),
    "an example without bytes": (
        lambda root: (root / "examples/Label/corrected.hex").unlink(),
        "the .hex file is missing",
    ),
    "bytes without an example": (
        lambda root: (root / "examples/Label/corrected.json").unlink(),
        "the .json file is missing",
    ),
    "an example that says something else": (
        lambda root: rewrite(root / "examples/Label/corrected.json", '"approved"', '"declined"'),
        "is not what the bytes in .hex hold",
    ),
    "an orphan example": (
        lambda root: (root / "examples/Label").rename(root / "examples/Lable"),
        "which is no released Lable",
    ),
    "truncated bytes": (
        lambda root: rewrite(root / "examples/Label/corrected.hex", "\n", "00\n"),
        "bytes are left over",
    ),
}


def rewrite(path: Path, old: str, new: str) -> None:
    """Replace text that must be there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("name", BREAKS)
def test_every_break_is_found(folder: Path, name: str) -> None:
    """Whatever is broken is told by name, so that CI stops a release that would strand somebody's records."""
    damage, said = BREAKS[name]
    damage(folder)
    assert said in problems(folder)


DIFFERENCES: dict[str, tuple[str, dict[str, dict[str, Any]], str]] = {
    "type": ("control/Cutover.avsc", {"partition": {"type": "string"}}, "Cutover.partition: the schema says 'string'"),
    "nested type": ("control/Candidate.avsc", {"chunk_offsets": {"type": {"type": "array", "items": "string"}}}, "[]:"),
    "default": ("control/Rollout.avsc", {"paused": {"default": True}}, "the default is True in the schema and False"),
    "optional": (
        "control/Command.avsc",
        {"expected_epoch": {"type": ["null", "string"]}},
        "Command.expected_epoch: the schema says",
    ),
    "meaning": (
        "control/Command.avsc",
        {"expires_at_ms": {"type": {"type": "long", "logicalType": "timestamp-millis"}}},
        "Command.expires_at_ms: the schema says",
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_models_and_schemas_agree_in_everything(folder: Path, name: str) -> None:
    """A control message's model and schema agree in types and defaults too, or writers and readers drift apart."""
    file, changes, said = DIFFERENCES[name]

    def change(schema: Any) -> None:
        for field in schema["fields"]:
            field.update(changes.get(field["name"], {}))

    edit(folder, file, change)
    assert said in problems(folder)


def test_a_compatible_change_is_released(folder: Path) -> None:
    """A field with a default gets the next version and id; nothing that was released changes; then all is in order."""
    edit(folder, "data/Feedback.avsc", lambda schema: schema["fields"].append(source()))
    before = SchemaFolder.load(folder)
    files = write_release(folder)
    assert files.keys() == {"history/Feedback/2.avsc", "registry.lock.json"}
    after = SchemaFolder.load(folder)
    assert after.lock[: len(before.lock)] == before.lock
    new = after.lock[len(before.lock)]
    assert (new.record, new.version, new.id) == ("Feedback", 2, max(row.id for row in before.lock) + 1)
    assert (
        problems(folder)
        == f"examples/Feedback: no golden record is framed with id {new.id}, the newest. Add a .json file."
    )
    example = json.loads((folder / "examples/Feedback/declined.json").read_text()) | {"source": "review"}
    (folder / "examples/Feedback/with-source.json").write_text(json.dumps(example))
    assert write_release(folder).keys() == {"examples/Feedback/with-source.hex"}
    assert problems(folder) == ""
    assert write_release(folder) == {}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda schema: schema["fields"].append({**source(), "default": None}), id="invalid default"),
        pytest.param(lambda schema: schema["fields"].append(without_default()), id="no default"),
        pytest.param(lambda schema: schema["fields"].pop(0), id="field removed"),
        pytest.param(lambda schema: schema["fields"][3].update(type="long"), id="unit lost"),
    ],
)
def test_an_incompatible_change_is_neither_released_nor_passed(folder: Path, change: Callable[[Any], object]) -> None:
    """A change that some reader or writer cannot follow is refused by the release, and found by the check."""
    edit(folder, "data/Label.avsc", change)
    with pytest.raises(SchemaError):
        release(SchemaFolder.load(folder))
    assert "data/Label.avsc: " in problems(folder)


def test_compatibility_reaches_back_to_the_first_version(folder: Path) -> None:
    """A field that comes back with another type fits the last version, but not one before, whose records are kept."""
    edit(folder, "data/Feedback.avsc", lambda schema: schema["fields"].append(source()))
    write_release(folder)
    edit(folder, "data/Feedback.avsc", lambda schema: schema["fields"].pop())
    write_release(folder)
    edit(
        folder, "data/Feedback.avsc", lambda schema: schema["fields"].append({**source(), "type": "long", "default": 0})
    )
    with pytest.raises(SchemaError, match="version 2"):
        release(SchemaFolder.load(folder))


def source() -> dict[str, Any]:
    """A further field of a feedback record."""
    return {"name": "source", "type": "string", "doc": "Who said so.", "default": ""}


def without_default() -> dict[str, Any]:
    """The same, which old writers do not know and new readers cannot do without."""
    return {key: value for key, value in source().items() if key != "default"}


def test_the_tool_checks_and_releases(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed schema fails the check; `lock` writes its release, and the check then asks for its golden record."""
    edit(folder, "data/Label.avsc", lambda schema: schema["fields"].append(source()))
    assert main(["check", str(folder)]) == 1
    capsys.readouterr()
    assert main(["lock", str(folder)]) == 0
    newest = len(list((schemas_dir() / "history/Label").glob("*.avsc")))
    assert capsys.readouterr().out == f"wrote history/Label/{newest + 1}.avsc\nwrote registry.lock.json\n"
    assert main(["check", str(folder)]) == 1
    assert capsys.readouterr().out.startswith("examples/Label: no golden record")
    assert main(["lock", str(folder)]) == 0
    assert main(["lock", str(folder / "data")]) == 1
    assert "not a complete schemas folder" in capsys.readouterr().err


def test_a_damaged_lock_is_an_error(folder: Path) -> None:
    """Without a readable lock nothing can be said about ids: the error names the folder."""
    (folder / "registry.lock.json").write_text("{}")
    with pytest.raises(SchemaError, match="not a complete schemas folder"):
        SchemaFolder.load(folder)
