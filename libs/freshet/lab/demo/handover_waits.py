"""How long a partition waited when another model took over."""

import numpy as np

from freshet.avro import Decoder
from freshet.avro.own_schemas import current_schema
from freshet.runtime.bus.protocol import Bus
from freshet.runtime.reading import everything


def longest_gap_ms(bus: Bus, epoch: int) -> int:
    """The longest time, by the broker's clock, between a partition's last answer before the epoch and its first in it.

    Reads all predictions. 0 if no partition has answers on both sides.
    """
    decoder = Decoder(current_schema("Prediction"))
    before_ms: dict[int, int] = {}
    gaps_ms: dict[int, int] = {}
    for batch in everything(bus, "predictions"):
        epochs = np.asarray(decoder.decode(batch.values).columns["epoch"])
        for partition in np.unique(batch.partitions).tolist():
            rows = np.flatnonzero(batch.partitions == partition)
            times_ms = batch.timestamps_ms[rows]
            if (earlier := times_ms[epochs[rows] < epoch]).size:
                before_ms[partition] = int(earlier[-1])
            first = times_ms[epochs[rows] == epoch][:1]
            if first.size and partition in before_ms:
                gaps_ms.setdefault(partition, int(first[0]) - before_ms[partition])
    return max(gaps_ms.values(), default=0)
