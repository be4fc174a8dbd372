"""A table without an entity: the events get some, and whoever sends one more learns which."""

from pathlib import Path

from freshet.operate.event_values import plain
from freshet.operate.tables.table_events import CsvEvents
from freshet.pipeline import load_checked

from .test_pipeline_commands import freshet

ROWS = 60


def test_entities_that_are_made_up_are_told_before_somebody_needs_one(tmp_path: Path) -> None:
    """When the pipeline is made, and by each replay; nothing is said where the table has them."""
    table, folder = tmp_path / "t.csv", tmp_path / "t"
    table.write_text("load,y\n" + "".join(f"{n % 7}.5,{n % 2}\n" for n in range(ROWS)))
    done = freshet("pipeline", "new", "t", "--csv", table, "--label", "y", "--dir", folder)
    assert "fills it in, with entity-0 to entity-99 in turn" in " ".join(done.stderr.split())
    spec, _, schema = load_checked(folder)
    source = CsvEvents(table, spec, schema, entities=7)
    (said,) = source.made_up
    assert "field entity: events get entity-0 to entity-6 in turn" in said
    sent = {entity for events in source for entity in plain(events.columns["entity"])}
    assert sent == {f"entity-{number}" for number in range(7)}
    table.write_text("entity,load,y\n" + "".join(f"e{n % 5},{n % 7}.5,{n % 2}\n" for n in range(ROWS)))
    assert CsvEvents(table, spec, schema).made_up == []
