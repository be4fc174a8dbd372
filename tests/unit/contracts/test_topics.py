"""The topic table, physical names, and the plan that brings a cluster to what the table says."""

import pytest

from freshet.contracts.errors import ContractError
from freshet.contracts.topic_table import TopicNames, stanza, topic_table
from freshet.pipeline import Duration
from freshet.runtime.topic_plan import Step, TopicState, lacking, plan_topics, topic_configs, topic_names

PIPELINES = [("loans", 3), ("cards", 6)]


def as_planned(namespace: str = "") -> dict[str, TopicState]:
    """A cluster on which the plan for PIPELINES was carried out."""
    return {step.topic: TopicState(step.partitions, step.configs) for step in plan_topics(namespace, PIPELINES, {})}


def by_topic(steps: list[Step]) -> dict[str, Step]:
    """Steps by physical topic."""
    return {step.topic: step for step in steps}


@pytest.mark.parametrize("role", topic_table())
def test_every_stanza_can_be_created(role: str) -> None:
    """A stanza's retention is a length of time, control topics are one log, and a topic without end is compacted."""
    topic = topic_table()[role]
    if topic.retention is not None:
        assert "delete" in topic.cleanup
        assert Duration.parse(topic.retention).ms > 0
    else:
        assert topic.cleanup == "compact", "a topic that only grows needs a retention"
    if topic.per_pipeline:
        assert topic.partitions in {"pipeline", 1}, "a pipeline's topics share its partitions, or are one log"
    else:
        assert topic.partitions == 1, "a control topic is one log with one order"
    assert "_" not in topic.name, "metrics write '.' as '_': such names collide"


def test_names_carry_namespace_and_pipeline() -> None:
    """Topics, groups and transactional ids of two namespaces or pipelines never meet."""
    names = TopicNames("dev.", "loans")
    assert names.topic("features") == "dev.loans.features"
    assert names.topic("rollouts") == "dev.freshet.rollouts"
    assert names.group("inference") == "dev.freshet.inference.loans"
    assert names.transactional_id("inference", "0") == "dev.freshet.inference.loans.0"
    assert TopicNames("dev.").transactional_id("registry", "owner") == "dev.freshet.registry.owner"


def test_the_serving_lane_has_the_names_without_a_lane() -> None:
    """An upgrade finds its groups, ids and answers where the release before left them."""
    assert TopicNames("dev.", "loans", "serve") == TopicNames("dev.", "loans")


def test_another_lane_meets_no_name_of_the_serving_one() -> None:
    """It reads the same inputs in a group of its own, fences nobody who serves, and answers none of his readers."""
    serve, shadow = TopicNames("dev.", "loans"), TopicNames("dev.", "loans", "shadow")
    assert shadow.topic("features") == serve.topic("features")
    assert shadow.topic("rollouts") == serve.topic("rollouts")
    assert shadow.topic("predictions") == "dev.loans.predictions.shadow"
    assert shadow.topic("dead-letters") == "dev.loans.dead-letters.shadow"
    assert shadow.group("inference") == "dev.freshet.inference.loans@shadow"
    assert shadow.worker("inference", "0") == "inference/loans@shadow/0"
    assert shadow.transactional_id("inference", "0") == "dev.freshet.inference.loans@shadow.0"


@pytest.mark.parametrize("role", ["artifacts", "models", "rollouts", "cutovers", "pipelines", "schemas"])
def test_what_a_live_model_rests_on_never_expires(role: str) -> None:
    """A champion that is good for years can still be loaded by a new worker: nothing of it has a time limit."""
    topic = topic_table()[role]
    assert (topic.cleanup, topic.retention) == ("compact", None)


def test_unknown_names_are_errors() -> None:
    """A misspelt role, or a data topic without its pipeline, is refused before anything is created under it."""
    with pytest.raises(ContractError, match="featurs"):
        TopicNames("", "loans").topic("featurs")
    with pytest.raises(ContractError, match="name the pipeline"):
        TopicNames().topic("features")


def test_an_empty_cluster_gets_every_topic_once() -> None:
    """Control topics are created once, data topics once per pipeline with its partitions."""
    steps = plan_topics("dev.", PIPELINES, {})
    assert {step.action for step in steps} == {"create"}
    assert [step.topic for step in steps] == topic_names("dev.", PIPELINES)
    assert len({step.topic for step in steps}) == len(steps)
    found = by_topic(steps)
    assert found["dev.loans.events"].partitions == 3
    assert found["dev.cards.events"].partitions == 6
    assert found["dev.freshet.rollouts"].partitions == 1


def test_settings_follow_the_table() -> None:
    """What the table says of cleaning, keeping, timestamps and size reaches Kafka in Kafka's words."""
    table = topic_table()
    events = topic_configs(table["events"])
    assert events == {
        "cleanup.policy": "delete",
        "retention.ms": str(7 * 86_400_000),
        "message.timestamp.type": "LogAppendTime",
    }
    assert topic_configs(table["dead-letters"])["max.message.bytes"] == "1114112"
    rollouts = topic_configs(table["rollouts"])
    assert rollouts["cleanup.policy"] == "compact"
    assert "retention.ms" not in rollouts
    assert int(rollouts["max.compaction.lag.ms"]) > 0, "a retired model's chunks must go some day"


def test_a_second_run_finds_nothing_to_do() -> None:
    """The plan is idempotent: carried out once, everything is ok; strangers' topics and settings do not matter."""
    existing = {
        name: TopicState(state.partitions, {**state.configs, "segment.ms": "1"}) for name, state in as_planned().items()
    }
    existing["somebody.elses"] = TopicState(9, {})
    assert {step.action for step in plan_topics("", PIPELINES, existing)} == {"ok"}


def test_the_order_of_cleanup_policies_is_not_drift() -> None:
    """Kafka may answer `delete,compact` to `compact,delete`; altering it for ever would never end."""
    existing = as_planned()
    workers = existing["freshet.workers"]
    existing["freshet.workers"] = TopicState(1, {**workers.configs, "cleanup.policy": "delete,compact"})
    assert by_topic(plan_topics("", PIPELINES, existing))["freshet.workers"].action == "ok"


def test_drift_is_named() -> None:
    """Only the drifted setting is to be altered, and the details say what it was."""
    existing = as_planned()
    rollouts = existing["freshet.rollouts"]
    existing["freshet.rollouts"] = TopicState(1, {**rollouts.configs, "cleanup.policy": "delete"})
    step = by_topic(plan_topics("", PIPELINES, existing))["freshet.rollouts"]
    assert step.action == "alter"
    assert step.configs == {"cleanup.policy": "compact"}
    assert "was cleanup.policy=delete" in step.details


def test_a_topic_that_lacks_what_is_only_wished_is_in_nobodys_way() -> None:
    """It is told, with what follows; beside another difference it is one more setting to alter."""
    existing = as_planned()
    rollouts = existing["freshet.rollouts"]
    slow = {**rollouts.configs, "min.cleanable.dirty.ratio": "0.5"}
    existing["freshet.rollouts"] = TopicState(1, slow)
    steps = plan_topics("", PIPELINES, existing)
    step = by_topic(steps)["freshet.rollouts"]
    assert (step.action, step.configs) == ("lacks", {"min.cleanable.dirty.ratio": "0.1"})
    assert lacking(steps).startswith("freshet.rollouts is without min.cleanable.dirty.ratio=0.1, which")
    existing["freshet.rollouts"] = TopicState(1, {**slow, "cleanup.policy": "delete"})
    steps = plan_topics("", PIPELINES, existing)
    step = by_topic(steps)["freshet.rollouts"]
    assert step.action == "alter"
    assert {*step.configs} == {"cleanup.policy", "min.cleanable.dirty.ratio"}
    assert lacking(steps) == ""


@pytest.mark.parametrize("has", [2, 12])
def test_partitions_never_change_in_place(has: int) -> None:
    """Other partitions than the pipeline has are refused in a sentence, and nothing of that topic is altered."""
    existing = as_planned() | {"loans.features": TopicState(has, {"cleanup.policy": "compact"})}
    step = by_topic(plan_topics("", PIPELINES, existing))["loans.features"]
    assert step.action == "refuse"
    assert step.configs == {}
    assert f"has {has} partitions, not 3" in step.details
    assert "fixed at birth" in step.details


def test_a_grown_control_topic_is_refused() -> None:
    """A control topic with two partitions has no one order: it is somebody else's."""
    existing = as_planned() | {"freshet.commands": TopicState(2, {})}
    assert by_topic(plan_topics("", PIPELINES, existing))["freshet.commands"].action == "refuse"


def test_names_that_kafka_refuses_are_refused_first() -> None:
    """A namespace that makes a name too long or illegal is told before half of the topics exist."""
    assert {step.action for step in plan_topics("a" * 240, [("loans", 1)], {})} == {"refuse"}
    assert {step.action for step in plan_topics("a b.", [], {})} == {"refuse"}


@pytest.mark.parametrize(("kind", "cleanup"), [("checkpoints", "compact"), ("slabs", "delete")])
def test_every_service_has_state_topics_of_its_own(kind: str, cleanup: str) -> None:
    """A kind is no topic; a service's own is read whole by whoever takes a partition over, in small segments."""
    topic = stanza(f"{kind}/join")
    assert TopicNames("dev.", "loans").topic(topic.role) == f"dev.loans.{kind}.join"
    assert (topic.writers, topic.readers) == (("join",), ("join",))
    configs = topic_configs(topic)
    assert (configs["cleanup.policy"], configs["segment.bytes"]) == (cleanup, str(64 << 20))
    for role in (kind, "labels/join"):
        with pytest.raises(ContractError, match="no topic has the role"):
            stanza(role)
