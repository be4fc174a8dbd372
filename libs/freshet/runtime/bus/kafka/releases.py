"""Tells whether a cluster runs a Kafka that loses transaction markers (KAFKA-20734), on which no promise of ours holds.

A broker names no version. But its first answer to every client lists the requests that it knows, and those of Kafka
4.3 and 4.4 are not those of 4.2. The client library reads that answer over whatever TLS and login are set, and tells
it to its log.
"""

import logging
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from freshet.runtime.bus.kafka import config
from freshet.runtime.bus.kafka.config import ClientConfig

Release = Literal["before 4.3", "4.3", "4.4", "after 4.4"]

FAULT: Final = (
    "Kafka 4.3.0, 4.3.1 and 4.4.0 never end a transaction in a partition that has no leader at that moment, as while "
    "a broker restarts (KAFKA-20734): events are lost or answered twice, and a partition can wait for ever"
)
UNTOLD: Final = "could not tell whether these brokers have the fault: they gave no answer in time, or are newer than it"
REMEDY: Final = "run Kafka 4.0 to 4.2, or a release that has the fix of KAFKA-20734"

# Requests by their number; which versions of them a release knows was read from running brokers of 4.0.0, 4.1.1,
# 4.2.1, 4.3.0, 4.3.1 and 4.4.0.
_API_VERSIONS: Final = 18
_DESCRIBE_LOG_DIRS: Final = 35
_NEWEST_KNOWN: Final = 94

# Where TLS or a log-in is set, the client writes the protocol in front of a broker's address.
_LINE: Final = re.compile(r"(?:\w+://|(?<=\s))([^\s/]+:\d+)/\w+:\s+ApiKey \S+ \((\d+)\) Versions \d+\.\.(\d+)")
_WITHIN_S: Final = 5.0
_AT_START_S: Final = 2.0
_POLL_S: Final = 0.05

Requests = Mapping[int, int]
"""The newest version of each request that a broker knows, by the request's number."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be said of a cluster's brokers: `faulty` ones are of a release line with the fault."""

    faulty: Mapping[str, Release]
    """The release by broker. Its last digit is never told, so a later one that has the fix is among them."""
    untold: frozenset[str]
    """Brokers that are newer than what is known here, or did not tell."""


def judged(brokers: Collection[str], told: Mapping[str, Requests]) -> Verdict:
    """What follows from the requests that brokers know; `brokers` are all that there are."""
    releases = {broker: release(told[broker]) for broker in brokers if told.get(broker)}
    return Verdict(
        faulty={broker: line for broker, line in sorted(releases.items()) if line in ("4.3", "4.4")},
        untold=frozenset(broker for broker in brokers if releases.get(broker, "after 4.4") == "after 4.4"),
    )


def release(requests: Requests) -> Release:
    """The release line of a broker that knows these requests."""
    if max(requests) > _NEWEST_KNOWN or requests.get(_API_VERSIONS, 0) > 5:
        return "after 4.4"
    if requests.get(_API_VERSIONS, 0) == 5:
        return "4.4"
    return "4.3" if requests.get(_DESCRIBE_LOG_DIRS, 0) >= 5 else "before 4.3"


def cluster_verdict(bootstrap_servers: str, extra: ClientConfig, within_s: float = _WITHIN_S) -> Verdict:
    """Ask all brokers of a cluster; those that do not answer in time, or in words that are not known here, are untold.

    Of a cluster that is away nothing can be told.
    """
    said = _Said()
    settings = config.common(bootstrap_servers, extra) | {
        "logger": said.logger,
        "log_level": 7,
        "debug": "feature",
        "enable.sparse.connections": False,
    }
    deadline = time.monotonic() + within_s
    with AdminClient(settings) as client:  # destroyed here: see `admin_client`
        try:
            brokers = {f"{one.host}:{one.port}" for one in client.list_topics(timeout=within_s).brokers.values()}
        except KafkaException:
            return Verdict({}, frozenset({bootstrap_servers}))
        # the log is told only in poll, and each answer comes in many lines
        while client.poll(_POLL_S) or (not brokers <= said.told.keys() and time.monotonic() < deadline):
            pass
    return judged(brokers, said.told)


def warn_if_faulty(bootstrap_servers: str, extra: ClientConfig) -> None:
    """Log what is known of the cluster's releases, should that be no good news; waits for 2 s at most."""
    verdict = cluster_verdict(bootstrap_servers, extra, _AT_START_S)
    log = structlog.get_logger("kafka")
    if verdict.faulty:
        log.warning("faulty_kafka", brokers=dict(verdict.faulty), why=FAULT, do=REMEDY)
    elif verdict.untold:
        log.warning("kafka_release_untold", brokers=sorted(verdict.untold), why=UNTOLD, matters=FAULT, do=REMEDY)


class _Said(logging.Handler):
    """Takes the lines of the client's log that tell what a broker knows."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, dict[int, int]] = {}
        self.logger = logging.Logger("freshet.kafka.releases")  # one of its own: this is not for the service's log
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        if line := _LINE.search(record.getMessage()):
            broker, request, newest = line.groups()
            self.told.setdefault(broker, {})[int(request)] = int(newest)
