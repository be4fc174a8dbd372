"""Pages of docs/ that follow from the catalogues of metrics, alerts and topics."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from freshet.contracts.topic_table import Topic, topic_table
from freshet.operate.requirements import REQUIREMENTS
from freshet.runtime.metrics.metric import Source
from freshet.runtime.metrics.of_console import OF_THE_CONSOLE
from freshet.runtime.metrics.of_gateway import OF_THE_GATEWAY
from freshet.runtime.metrics.of_services import BUILD, IN_PROCESS, OF_THE_SYSTEM
from freshet.runtime.metrics.of_topics import OF_TOPICS, PARTITIONS_SHOWN, SERIES_SHOWN
from freshet.runtime.metrics.of_webhook import OF_THE_WEBHOOK
from freshet.runtime.rights import PRINCIPALS, rights, user_name
from tools.observability.alert import Alert
from tools.observability.rules import ALERTS

_WRITTEN: Final = "<!-- Written by `python -m tools.observability`; edits are overwritten. -->\n"
_LABEL: Final = re.compile(r"\{\{ \$labels\.(\w+) \}\}")
_VALUE: Final = re.compile(r"\{\{ \$value[^}]*\}\}")

_SOURCES: Final[dict[Source, str]] = {
    "services": "every service",
    "data services": "ingestion, inference, drift",
    "inference": "inference",
    "drift-join": "drift-join",
    "detection": "drift-detect, drift-compare",
    "console": "console",
    "gateway": "gateway",
    "webhook": "webhook",
    "observe": "`freshet observe`",
}


def metrics_page() -> str:
    """docs/metrics.md."""
    parts = [
        "# Metrics",
        _WRITTEN,
        "Every process serves its own at `/metrics`. `freshet observe` serves what Kafka and the topics say: that is "
        "true also of a process that is dead, hangs or lies. Alerts on lag, quality and drift stand on it "
        "([runbook](runbook.md)); [operate.md](operate.md) says how to run it.",
        "",
        "## What `freshet observe` tells of a pipeline",
        "",
        *_table(
            ("metric", "kind", "unit", "labels", "meaning"),
            ((f"`{one.name}`", one.kind_name, one.unit, _labels(one.labels), one.meaning) for one in OF_TOPICS),
        ),
        "",
        f"Labels are bounded: at most {PARTITIONS_SHOWN} partitions of a topic are told apart (else it is `all`), "
        f"and at most {SERIES_SHOWN} series of quality. No version, event or entity is ever a label.",
        "",
        "## What processes tell of themselves",
        "",
        *_table(
            ("metric", "kind", "unit", "labels", "shown by", "meaning"),
            (
                (f"`{one.name}`", one.kind_name, one.unit, _labels(one.labels), _SOURCES[one.source], one.meaning)
                for one in (*IN_PROCESS, *OF_THE_CONSOLE, *OF_THE_GATEWAY, *OF_THE_WEBHOOK, BUILD, *OF_THE_SYSTEM)
            ),
        ),
        "",
        "Every process also shows what prometheus_client tells of it on Linux: `process_cpu_seconds_total`, "
        "`process_resident_memory_bytes`, `process_virtual_memory_bytes`, `process_open_fds`, `process_max_fds` and "
        "`process_start_time_seconds`. Labels `topic` hold the role of a topic, such as `events`, not its whole name. "
        "`reason` and `cause` are codes of Freshet's; `job` is the name of a class.",
        "",
    ]
    return "\n".join(parts)


def runbook_page() -> str:
    """docs/runbook.md."""
    parts = [
        "# Runbook",
        _WRITTEN,
        "One section for each alert of `observability/alerts.yml`. A `page` means that somebody gets up for it, a "
        "`ticket` that it can wait until the morning. P stands for the pipeline that the alert names, other capitals "
        "for what else it names, N for a number.",
        "",
        *_table(
            ("alert", "severity", "after"),
            ((f"[{one.name}](#{one.name.lower()})", one.severity, one.lasts) for one in ALERTS),
        ),
        "",
    ]
    for alert in ALERTS:
        parts += _section(alert)
    return "\n".join(parts)


def _section(alert: Alert) -> Iterator[str]:
    yield from (f"## {alert.name}", "")
    yield from (f"**What it says.** {_spelled(alert.summary)}", "")
    yield from (f"**What it means.** {alert.means}", "", f"**How to check.** {alert.check}", "")
    yield from (f"**What to do.** {alert.do}", "", "```promql", alert.expr, "```", "")


def _spelled(summary: str) -> str:
    """An alert's sentence with capitals for what it fills in, and N for a number."""
    named = _LABEL.sub(lambda found: "P" if found[1] == "pipeline" else found[1].upper(), summary)
    return _VALUE.sub("N", named)


def topics_page() -> str:
    """docs/topics.md."""
    table = topic_table().values()
    titles = ("topic", "message", "key", "partitions", "kept", "times by", "written by", "read by")
    parts = [
        "# Topics",
        _WRITTEN,
        "All that services say to each other, from `schemas/topics.yaml`. `{p}` is the pipeline; `FRESHET_NAMESPACE` "
        "comes before every name. [asyncapi.yaml](asyncapi.yaml) has the same for tools.",
        "",
        "## Of each pipeline",
        "",
        *_table(titles, (_topic(one) for one in table if one.per_pipeline)),
        "",
        "## Of the whole installation",
        "",
        *_table(titles, (_topic(one) for one in table if not one.per_pipeline)),
        "",
    ]
    return "\n".join(parts)


_MANAGED: Final = (
    "## Managed services",
    "",
    "No managed service was tried: run the command above on yours before you rely on it. What is known of the ways in:",
    "",
    "- A user and a password over TLS (SCRAM): tried, on our own Kafka, with all services. PLAIN and a client's "
    "certificate are settings of the client, too.",
    "- OAuth (`sasl.mechanism=OAUTHBEARER`, `sasl.oauthbearer.method=oidc`, with its address, id and secret, in "
    "`FRESHET_KAFKA`): tried on our own Kafka, with tokens that a small server of our own signs (client credentials, "
    "RS256): all of the table above, and ingestion over renewals of its tokens and over a time in which none was to be "
    "had. Also the table with tokens that nobody signs (`enable.sasl.oauthbearer.unsecure.jwt`). It was not tried with "
    "TLS, with a product of identities, with other grants, nor with Faust, which refuses it. Tokens should live for "
    "minutes: they are renewed after 80 % of that time, and Kafka refuses a second renewal within a second.",
    "- AWS IAM (`AWS_MSK_IAM`): not possible, since each process would have to compute tokens. MSK Serverless has "
    "no other way in, so Freshet cannot use it; MSK with SCRAM is as any other Kafka.",
    "- A service that refuses or ignores `min.cleanable.dirty.ratio` or `max.compaction.lag.ms`: `freshet apply` makes "
    "the topics without what is refused, and says so; so does `freshet doctor`. Nothing is lost or wrong by it. "
    "Topics are compacted when the service does it (Kafka's own default: once half is stale, in segments that are "
    "closed after a week or 1 GiB): they take more room, services read more at their start, and the chunks of retired "
    "models stay for longer. All other settings of `freshet topics plan` are needed: that one of them is refused is "
    "told as an error. Tried on our own Kafka, with a broker that refuses `max.compaction.lag.ms`.",
)


def requirements_page() -> str:
    """docs/requirements.md."""
    parts = [
        "# What Freshet needs of a Kafka",
        _WRITTEN,
        "`freshet doctor --requirements` tries each of these on a cluster, on topics that it deletes again, and names "
        "what is missing. It is for whoever runs `freshet apply`; [deploy.md](deploy.md#a-kafka-that-asks-for-a-login) "
        "says how Freshet logs in.",
        "",
        *_table(("need", "right or setting", "what for"), ((one.about, one.needs, one.why) for one in REQUIREMENTS)),
        "",
        "Not tried, since it takes too long: whether the log cleaner runs, and whether retention deletes.",
        "",
        *_MANAGED,
        "",
        "## Rights of each user",
        "",
        "They follow from `schemas/topics.yaml`; `freshet rights show` prints them for your pipelines and namespace, "
        "`freshet rights grant` grants them. `p` is the pipeline, `NAME*` all names that begin so. READ and WRITE "
        "bring DESCRIBE. No user may make, alter or delete a topic.",
        "",
        *_table(("user", "on", "may"), (row for one in PRINCIPALS for row in _rights(one))),
        "",
    ]
    return "\n".join(parts)


def _rights(principal: str) -> Iterator[tuple[str, str, str]]:
    """A row for all that a principal may do in the same way on things of the same kind."""
    names: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for right in rights(principal, "", ["p"]):
        names.setdefault((right.shown_kind, right.operations), []).append(f"`{right.shown_name}`")
    for (kind, operations), found in names.items():
        yield f"`{user_name(principal)}`", f"{kind} {', '.join(found)}", ", ".join(operations)


def _topic(topic: Topic) -> tuple[str, ...]:
    kept = topic.cleanup if topic.retention is None else f"{topic.cleanup} after {topic.retention}"
    partitions = "as the pipeline has" if topic.partitions == "pipeline" else str(topic.partitions)
    writers, readers = ", ".join(topic.writers), ", ".join(topic.readers)
    return f"`{topic.name}`", topic.message, topic.key, partitions, kept, topic.timestamps, writers, readers


def _labels(labels: Sequence[str]) -> str:
    return ", ".join(labels)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * len(titles)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
