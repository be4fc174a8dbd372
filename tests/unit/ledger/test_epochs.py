"""The fold of epochs: which one is live, who answers under it, and what happens when somebody decided twice."""

import pytest

from freshet.contracts.messages import Rollout
from freshet.contracts.position import Position
from freshet.ledger.epochs import Answerer, Epochs, answerers
from support.inference import PIPELINE, rollout


def folded(*records: Rollout) -> Epochs:
    """Epochs of which these records were read, a second apart."""
    epochs = Epochs(PIPELINE)
    for at, record in enumerate(records):
        epochs.fold(record, 1_000 * at)
    return epochs


def test_the_live_epoch_is_the_highest_in_phase_live() -> None:
    """An aborted number above it, and an open prepare, do not count; order of arrival does not matter."""
    epochs = folded(
        rollout(3, "v3"), rollout(5, "v5", phase="aborted"), rollout(2, "v2"), rollout(6, "v6", phase="prepare")
    )
    assert epochs.live == rollout(3, "v3")
    assert (epochs.live_epoch, epochs.serving, epochs.free_above()) == (3, "v3", 7)
    assert [epochs.was_live(number) for number in (2, 5, 6)] == [rollout(2, "v2"), None, None]


def test_the_same_key_moves_from_prepare_to_live() -> None:
    """A prepare that becomes live is one epoch, without an alarm; read again, its prepare changes nothing."""
    prepare, live = rollout(4, "v4", phase="prepare"), rollout(4, "v4")
    epochs = folded(prepare, live, live, prepare)
    assert epochs.live == live
    assert epochs.since_ms(4) == 1_000
    assert epochs.alarm == ""


@pytest.mark.parametrize(
    "records",
    [
        [rollout(7, "v8"), rollout(7, "v5")],
        [rollout(7, "v8"), rollout(7, "v5", phase="aborted")],
        [rollout(7, "v8"), rollout(7, "v8", phase="aborted")],
        [rollout(7, "v7", phase="aborted"), rollout(7, "v7")],
        [rollout(7, "v8"), rollout(7, "v5", phase="prepare")],
    ],
)
def test_an_epoch_that_was_issued_twice_is_the_same_to_all_readers_and_a_person_is_told(records: list[Rollout]) -> None:
    """Compaction keeps the last record of a number, so whoever saw both must believe what a late starter sees."""
    witness = folded(rollout(6, "v6"), *records)
    late = folded(rollout(6, "v6"), records[-1])
    for question in (Epochs.asked, lambda epochs: epochs.live, lambda epochs: epochs.was_live(7)):
        assert question(witness) == question(late)
    assert [witness.last_led(version) for version in ("v6", "v8", "v5")] == [
        late.last_led(version) for version in ("v6", "v8", "v5")
    ]
    assert "epoch 7" in witness.alarm
    assert witness.told(7) == records


@pytest.mark.parametrize("signed", [(True, False), (False, True), (True, True)])
def test_nobody_is_accused_where_only_signatures_tell_whose_a_record_is(signed: tuple[bool, bool]) -> None:
    """A stranger's record bears no signature, or one that does not fit: whoever has no keys cannot tell it."""
    records = [
        rollout(7, version).model_copy(update={"signatures": {"key": b"s"} if has else {}})
        for version, has in zip(("v8", "v5"), signed, strict=True)
    ]
    told = folded(*records).alarm
    assert "Two registries" not in told
    assert "epoch 7" in told
    assert "trust file" in told
    vouched = Epochs(PIPELINE)
    for record in records:
        vouched.fold(record, vouched=True)
    assert "Two registries" in vouched.alarm


def test_a_forked_history_is_noticed_by_the_previous_digest() -> None:
    """The same table on top of another previous epoch is another decision."""
    assert folded(rollout(7, "v8"), rollout(7, "v8").model_copy(update={"previous_digest": "other"})).alarm


def test_a_prepare_below_the_live_epoch_asks_for_nothing() -> None:
    """It was overtaken: no worker prepares it, but it is open until the registry has aborted it."""
    epochs = folded(rollout(2, "v2", phase="prepare"), rollout(3, "v3"))
    assert epochs.asked() == [rollout(3, "v3")]
    assert epochs.open == [rollout(2, "v2", phase="prepare")]


@pytest.mark.parametrize(
    ("numbers", "returns"),
    [(["v1", "v2", "v1"], True), (["v1", "v2", "v3"], False), (["v1", "v2", "v2"], False), (["v2", "v1"], False)],
)
def test_an_epoch_goes_back_if_its_champion_led_before_the_one_that_it_follows(
    numbers: list[str], returns: bool
) -> None:
    """The last epoch against the one before it: a rollback is told from a rollout by who served when."""
    epochs = folded(*(rollout(number, version) for number, version in enumerate(numbers, 1)))
    assert epochs.is_return(len(numbers), since=len(numbers) - 1) is returns


def test_each_entry_of_a_table_is_answered_by_its_version_or_by_its_understudy() -> None:
    """`fallback` is a bit mask over the table: either entry may fall back without the other."""
    two = rollout(2, ["v1", "v2"]).model_copy(update={"understudies": {"v1": "v0", "v2": "v1"}})
    first, second = Answerer("v1", "v0"), Answerer("v2", "v1")
    assert answerers(two, 0) == (first, second)
    assert answerers(two, 1) == (Answerer("v0", ""), second)
    assert answerers(two, 2) == (first, Answerer("v1", ""))
    assert answerers(two, 3) == (Answerer("v0", ""), Answerer("v1", ""))
    assert answerers(rollout(3, "v3"), 1) == (Answerer("", ""),)
    assert answerers(rollout(3), 0) == ()


def test_only_an_epoch_that_went_live_answers() -> None:
    """Prepared, aborted and unknown epochs name nobody."""
    epochs = folded(rollout(1, "v1", understudy="v0"), rollout(2, "v2", phase="prepare"), rollout(3, phase="aborted"))
    found = [epochs.answerers(Position(epoch)) for epoch in (1, 2, 3, 4)]
    assert found == [(Answerer("v1", "v0"),), (), (), ()]
    assert (epochs.champion(1), epochs.understudy(1), epochs.champion(2)) == ("v1", "v0", "")


def test_history_says_which_epoch_was_in_force_when() -> None:
    """By the broker's times; what was prepared or aborted never was."""
    epochs = folded(
        rollout(1, "v1"), rollout(2, "v2", phase="prepare"), rollout(3, "v3", phase="aborted"), rollout(2, "v2")
    )
    found = [(one.rollout.epoch, one.since_ms, one.until_ms) for one in epochs.history()]
    assert found == [(1, 0, 3_000), (2, 3_000, None)]


@pytest.mark.parametrize(
    ("cause", "read"),
    [
        ("rollback 9f0c", ("rollback", "9f0c")),
        ("promote 9f0c", ("promote", "9f0c")),
        ("pause 9f0c", ("pause", "9f0c")),
        ("policy immediate", ("policy immediate", "")),
        ("quarantine 1.0.0 1.1.0", ("quarantine 1.0.0 1.1.0", "")),
        ("recovered", ("recovered", "")),
    ],
)
def test_a_record_of_before_names_its_command_as_one_of_now_does(cause: str, read: tuple[str, str]) -> None:
    """Earlier releases wrote the id into the cause: an upgrade forgets no command, and no version that was left."""
    epochs = folded(rollout(1, "v1"), rollout(2, "v2").model_copy(update={"cause": cause}))
    assert epochs.live is not None
    assert (epochs.live.cause, epochs.live.command_id) == read
    assert epochs.left_behind("v1") == (read[0] == "rollback")
    now = rollout(2, "v2").model_copy(update={"cause": read[0], "command_id": read[1]})
    epochs.fold(now)
    assert epochs.alarm == ""
