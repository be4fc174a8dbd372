"""What one batch of inference passes between fetch and commit."""

from bench.count_batch import passed_by_one_batch


def test_a_reader_can_follow_a_batch() -> None:
    """Few functions in few files, the codec left out; what changes once per epoch is not worked out again."""
    rows, calls = passed_by_one_batch()
    assert rows == 7
    path = {place for place in calls if not place[0].startswith("avro/")}
    files = {file for file, _ in path}
    assert len(path) <= 59, sorted(path)
    assert len(files) <= 21, sorted(files)
    once = {"inference/core/resident_models.py", "models/manifest.py", "runtime/starts.py", "contracts/topic_table.py"}
    assert not files & once
    assert not [file for file in files if file.startswith("ledger/")]
    assert ("inference/core/epoch_rules.py", "EpochRules._search") not in path
