"""What the system says of this process whenever somebody asks for metrics: disk and network."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from prometheus_client.core import CounterMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from freshet.runtime.metrics.of_services import DISK_READ, DISK_WRITTEN, NETWORK_RECEIVED, NETWORK_SENT

_IO: Final = Path("/proc/self/io")
_NETWORK: Final = Path("/proc/self/net/dev")
_RECEIVED, _SENT = 0, 8
"""Columns of bytes in the table of network interfaces."""


class SystemFigures(Collector):
    """Reads Linux's figures at each scrape; elsewhere, and where they may not be read, it shows none."""

    def collect(self) -> Iterator[Family]:
        """See `Collector`."""
        figures: dict[str, Callable[[], int]] = {
            DISK_READ.name: lambda: _io("read_bytes"),
            DISK_WRITTEN.name: lambda: _io("write_bytes"),
            NETWORK_RECEIVED.name: lambda: _network(_RECEIVED),
            NETWORK_SENT.name: lambda: _network(_SENT),
        }
        for metric in (DISK_READ, DISK_WRITTEN, NETWORK_RECEIVED, NETWORK_SENT):
            try:
                value = figures[metric.name]()
            except OSError:
                continue
            family = CounterMetricFamily(metric.name, metric.meaning)
            family.add_metric((), value)
            yield family


def _io(field: str) -> int:
    lines = dict(line.split(": ") for line in _IO.read_text().splitlines())
    return int(lines[field])


def _network(column: int) -> int:
    """Over all interfaces; two lines of titles come first."""
    interfaces = [line.partition(":")[2].split() for line in _NETWORK.read_text().splitlines()[2:]]
    return sum(int(columns[column]) for columns in interfaces)
