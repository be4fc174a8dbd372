"""`python -m tools.strimzi FOLDER --pipeline NAME=PARTITIONS`: writes topics.yaml and users.yaml there."""

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import yaml

from tools.strimzi.resources import Pipeline, Resource, topics, users

_HEAD: Final = "# Written by `python -m tools.strimzi` from schemas/topics.yaml; edits are overwritten.\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both files, and say so."""
    parser = argparse.ArgumentParser(prog="python -m tools.strimzi", description="Strimzi's topics and users.")
    parser.add_argument("folder", type=Path, help="where topics.yaml and users.yaml go")
    parser.add_argument("--pipeline", type=_pipeline, action="append", required=True, metavar="NAME=PARTITIONS")
    parser.add_argument("--namespace", default="", help="what FRESHET_NAMESPACE will be, such as dev.")
    parser.add_argument("--cluster", default="kafka", help="name of the Kafka resource")
    asked = parser.parse_args(arguments)
    given = (asked.cluster, asked.namespace, asked.pipeline)
    for name, resources in (("topics.yaml", topics(*given)), ("users.yaml", users(*given))):
        (asked.folder / name).write_text(as_text(resources))
        print(f"wrote {asked.folder / name}")
    return 0


def as_text(resources: Iterable[Resource]) -> str:
    """The resources as one file of YAML documents."""
    return _HEAD + yaml.safe_dump_all(resources, sort_keys=False, default_flow_style=None, width=200)


def _pipeline(text: str) -> Pipeline:
    if not (found := re.fullmatch(r"([\w.-]+)=([1-9]\d*)", text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PARTITIONS, such as loans=6")
    return Pipeline(found[1], int(found[2]))


if __name__ == "__main__":
    sys.exit(main())
