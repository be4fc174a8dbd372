"""The page of all pipelines: who is alive."""

from freshet.console.core.overview import KafkaState, Overview, overview
from support.console import NOW_MS, ConsoleWorld, flowing_world

KAFKA = KafkaState("k:9092", NOW_MS, "", 20, 100, True, 0, {})


def test_every_service_has_a_row_also_one_of_another_package() -> None:
    """Nobody keeps a list of them: a service that was never heard of has a row too, and a strange one once it was."""
    world = flowing_world()
    world.beat("stranger")
    world.beat("drift-profile", age_ms=20_000)
    page = overview(world.folded, [world.screen()], KAFKA, "", NOW_MS)
    assert [(row.name, row.alive, row.there) for row in page.services] == [
        ("ingestion", 1, 1),
        ("inference", 1, 1),
        ("drift-join", 1, 1),
        ("drift-evaluate", 1, 1),
        ("drift-detect", 1, 1),
        ("drift-profile", 0, 1),
        ("drift-compare", 1, 1),
        ("stranger", 1, 1),
        ("registry", 1, 1),
        ("retraining", 1, 1),
    ]
    assert page.alive.sentence == "9 of 10 processes beat; drift-profile has dead ones."
    assert world.screen().flowing.answer.sentence == "Yes, but drift-profile/loans/0 is dead."


def overview_of(world: ConsoleWorld) -> Overview:
    """The page now."""
    return overview(world.folded, [world.screen()], KAFKA, "", NOW_MS)


def test_who_is_silent_is_named_in_a_sentence() -> None:
    """One is, several are."""
    world = flowing_world()
    world.beat("ingestion", age_ms=4_500)
    assert overview_of(world).alive.sentence == "9 of 9 processes beat, but ingestion is silent."
    world.beat("inference", age_ms=4_500)
    assert overview_of(world).alive.sentence == "9 of 9 processes beat, but ingestion, inference are silent."
