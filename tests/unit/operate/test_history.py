"""What verify takes from the control topics."""

from freshet.avro.control import encode
from freshet.contracts.messages import Cutover, Message
from freshet.contracts.topic_table import TopicNames
from freshet.operate.verify.control_history import read_history
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster
from freshet.runtime.bus.protocol import Send
from support.inference import PIPELINE, model, rollout, specification


def test_a_deleted_life_explains_nothing() -> None:
    """After a deletion only the next life is judged: its 1.0.0 is one model, its epoch 1 has one content."""
    cluster, names = MemoryCluster(), TopicNames("", PIPELINE)
    cluster.ensure(names, 1)
    bus = MemoryBus(cluster, names)

    def tell(role: str, key: str, message: Message | None) -> None:
        value = None if message is None else encode(message)
        bus.producer().send(Send(role, [f"{PIPELINE}/{key}".encode()], [value]))

    cut = Cutover(
        pipeline=PIPELINE,
        lane="serve",
        topic_id="then",
        partition=0,
        first_offset=5,
        epoch=1,
        fallback=0,
        cause="start",
    )
    old = (specification(("amount",)), model("1.0.0", digest_of="old"), rollout(1, "1.0.0"), cut)
    new = (
        specification(("hour",)),
        model("1.0.0", digest_of="new"),
        rollout(1, ()),
        cut.model_copy(update={"topic_id": "now"}),
    )
    keys = ("1", "1.0.0", "1", "serve/then/0/5")
    roles = ("pipelines", "models", "rollouts", "cutovers")
    for role, key, message in zip(roles, keys, old, strict=True):
        tell(role, key, message)
        tell(role, key, None)
    for role, key, message in zip(roles, keys, new, strict=True):
        tell(role, key, message)
    found = read_history(bus, PIPELINE, "now")
    assert found.ledger.versions.told("1.0.0") == [model("1.0.0", digest_of="new")]
    assert found.ledger.epochs.told(1) == [rollout(1, ())]
    assert (len(found.cutovers), found.earlier_cutovers) == (1, 0)
    assert found.feature_names == ("hour",)
