"""docs/trainers.md says of each trainer what it takes."""

from pathlib import Path

from freshet.pipeline.catalogue import trainers

PAGE = Path(__file__).parents[3] / "docs" / "trainers.md"
ROWS = {line.split("`")[1]: line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")}


def test_the_page_names_each_trainer_with_its_parameters() -> None:
    """LightGBM's are those of the trainer above it."""
    assert sorted(ROWS) == trainers().kinds()
    for kind in trainers().kinds():
        row = ROWS["hist-gradient-boosting" if kind == "lightgbm" else kind]
        assert [name for name in trainers().find(kind).model_fields if f"`{name}`" not in row] == []
        assert all(target in ROWS[kind] for target in trainers().find(kind).learns)
