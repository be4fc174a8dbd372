"""A process that watches a labelled log on Faust until it is killed: as Freshet corrects it, or as it is released."""

import sys
from pathlib import Path

from freshet.contracts.topic_table import TopicNames
from freshet.drift.faust.faust_bus import FaustBus
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.service import Context
from support.detect_engines import KEPT, data_loop, settings_of
from support.labelled_log import PIPELINE


def main(kafka: str, namespace: str, folder: str, which: str) -> None:
    """Turn its loop."""
    names, settings = TopicNames(namespace, PIPELINE), settings_of(kafka, namespace, Path(folder), "faust")
    context = Context(names, settings, KafkaBus(kafka, names))
    loop = data_loop(FaustBus(context, KEPT, strict=which == "corrected"), names, which, fixed=True)
    while True:
        loop.step(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
