"""Clusters that refuse or ignore settings: what is only wished is left out, what is needed is an error."""

from collections.abc import Mapping
from typing import cast

import pytest

from freshet.runtime.bus.kafka.admin import KafkaAdmin
from freshet.runtime.bus.kafka.admin_errors import SettingRefusedError, UnseenError
from freshet.runtime.provision import plan, provision
from freshet.runtime.topic_plan import TopicState, lacking

LOANS = [("loans", 2)]
DIRTY, LAG = "min.cleanable.dirty.ratio", "max.compaction.lag.ms"


class PickyCluster:
    """What provisioning asks of a cluster, with topics that take not every setting."""

    def __init__(self, refuses: tuple[str, ...] = (), ignores: tuple[str, ...] = ()) -> None:
        self.refuses, self.ignores = refuses, ignores
        self.topics: dict[str, TopicState] = {}
        self.asked = 0

    def describe(self, topics: list[str]) -> dict[str, TopicState]:
        return {topic: self.topics[topic] for topic in topics if topic in self.topics}

    def create(self, topic: str, partitions: int, configs: Mapping[str, str], *, replication_factor: int) -> None:
        self._ask(topic, configs)
        self.topics[topic] = TopicState(partitions, self._kept(configs))

    def alter(self, topic: str, configs: Mapping[str, str]) -> None:
        self._ask(topic, configs)
        there = self.topics[topic]
        self.topics[topic] = TopicState(there.partitions, {**there.configs, **self._kept(configs)})
        if self._kept(configs) != configs:
            raise UnseenError("done, but not seen")

    def _ask(self, topic: str, configs: Mapping[str, str]) -> None:
        self.asked += 1
        if refused := [key for key in configs if key in self.refuses]:
            raise SettingRefusedError(f"{topic}: {refused[0]} is not for you")

    def _kept(self, configs: Mapping[str, str]) -> dict[str, str]:
        return {key: value for key, value in configs.items() if key not in self.ignores}


def provisioned(cluster: PickyCluster, *, adopt: bool = False) -> list[str]:
    """What was told while it was carried out."""
    told: list[str] = []
    provision(cast("KafkaAdmin", cluster), "", LOANS, adopt=adopt, say=told.append)
    return told


@pytest.mark.parametrize("how", ["refuses", "ignores"])
@pytest.mark.parametrize("keys", [(DIRTY,), (LAG,), (DIRTY, LAG)])
def test_what_is_only_wished_is_left_out(how: str, keys: tuple[str, ...]) -> None:
    """All topics are there with all else that they need; one warning says what is missing and what follows."""
    cluster = PickyCluster(**{how: keys})
    told = provisioned(cluster)
    steps = plan(cast("KafkaAdmin", cluster), "", LOANS)
    assert {step.action for step in steps} == {"ok", "lacks"}
    assert {tuple(step.configs) for step in steps if step.action == "lacks"} == {keys}
    warnings = [line for line in told if line.startswith("warning: ")]
    assert warnings == [f"warning: {lacking(steps)}."]
    assert all(key in warnings[0] for key in keys)
    assert "Nothing is lost" in warnings[0]


def test_a_second_run_is_no_conflict_and_warns_again() -> None:
    """Without --adopt nothing is touched; with it the cluster is asked once more, and may take them by now."""
    cluster = PickyCluster(refuses=(DIRTY, LAG))
    (warning,) = [line for line in provisioned(cluster) if line.startswith("warning: ")]
    asked = cluster.asked
    assert provisioned(cluster) == [warning]
    assert cluster.asked == asked
    assert provisioned(cluster, adopt=True)[-1] == warning
    cluster.refuses = ()
    assert not any(line.startswith("warning: ") for line in provisioned(cluster, adopt=True))
    assert {step.action for step in plan(cast("KafkaAdmin", cluster), "", LOANS)} == {"ok"}


@pytest.mark.parametrize("how", ["refuses", "ignores"])
def test_settings_that_somebody_has_changed_come_back_but_for_those(how: str) -> None:
    """Agreed to, a topic gets what it needs also where the wished settings come to nothing."""
    cluster = PickyCluster(**{how: (LAG,)})
    provisioned(cluster)
    state = cluster.topics["freshet.rollouts"]
    cluster.topics["freshet.rollouts"] = TopicState(1, {**state.configs, "cleanup.policy": "delete"})
    provisioned(cluster, adopt=True)
    configs = cluster.topics["freshet.rollouts"].configs
    assert (configs["cleanup.policy"], configs[DIRTY], LAG in configs) == ("compact", "0.1", False)


@pytest.mark.parametrize("needed", ["cleanup.policy", "message.timestamp.type", "max.message.bytes"])
def test_what_is_needed_is_not_left_out(needed: str) -> None:
    """The cluster's own words reach whoever applies."""
    with pytest.raises(SettingRefusedError, match=f"{needed} is not for you"):
        provisioned(PickyCluster(refuses=(needed,)))


def test_a_cluster_that_takes_everything_is_asked_once_for_each_topic() -> None:
    """And there is nothing to warn of."""
    cluster = PickyCluster()
    told = provisioned(cluster)
    assert cluster.asked == len(cluster.topics) == len(told)
