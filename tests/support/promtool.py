"""Prometheus's own programs, for tests that hand them what Freshet shows and ships.

They are looked for on the path and in FRESHET_PROMETHEUS (a folder); else they are taken out of Debian's package, which
is not installed for that. Where none of it works, a test that needs them is skipped, and says so.
"""

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from support.services import free_port, until

_CACHE: Final = Path(__file__).parents[2] / ".local/prometheus"
_VARIABLE: Final = "FRESHET_PROMETHEUS"
_HOW: Final = f"put its folder on the path or into {_VARIABLE}, or install Debian's package `prometheus`"


def program(name: str) -> str:
    """The path of `promtool` or `prometheus`; skips the test if it cannot be had."""
    found = _found(name)
    if found is None:
        pytest.skip(f"{name} is not here, and Debian's package could not be fetched: {_HOW}.")
    return found


def checked(*arguments: str, given: str = "") -> str:
    """What promtool says of it; empty if it has nothing to say. Its exit code must be 0 then."""
    done = subprocess.run(
        [program("promtool"), *arguments], input=given, capture_output=True, text=True, check=False, timeout=60
    )
    said = f"{done.stdout}{done.stderr}".strip()
    assert done.returncode == 0 or said, f"promtool ended with {done.returncode}, and said nothing"
    return said if done.returncode else ""


@contextmanager
def prometheus(folder: Path, ports: Mapping[str, int], rules: Path) -> Iterator[Callable[[str], list[dict[str, str]]]]:
    """A Prometheus with these rules that scrapes these processes each second; it answers with the labels of series."""
    port = free_port()
    targets = [{"targets": [f"127.0.0.1:{at}"], "labels": {"instance": name}} for name, at in ports.items()]
    jobs = [{"job_name": "freshet", "scrape_interval": "1s", "static_configs": targets}]
    config = {"global": {"evaluation_interval": "1s"}, "rule_files": [str(rules)], "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    options = (f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", "--log.level=warn")
    server = subprocess.Popen([program("prometheus"), *options, f"--web.listen-address=127.0.0.1:{port}"])

    def ask(expr: str) -> list[dict[str, str]]:
        query = urllib.parse.urlencode({"query": expr.replace("$__rate_interval", "1m")})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=10) as answer:
            return [series["metric"] for series in json.loads(answer.read())["data"]["result"]]

    def ready() -> bool:
        with suppress(OSError):
            return len(ask("up")) == len(ports)
        return False

    try:
        until(ready, "Prometheus to scrape all processes")
        yield ask
    finally:
        server.terminate()
        server.wait(30)


@cache
def _found(name: str) -> str | None:
    folders = [os.environ.get(_VARIABLE, ""), str(_CACHE / "usr/bin")]
    for folder in filter(None, folders):
        if found := shutil.which(name, path=folder):
            return found
    return shutil.which(name) or (shutil.which(name, path=folders[1]) if _fetched() else None)


@cache
def _fetched() -> bool:
    """Debian's package, unpacked beside the sources; takes two seconds, and nothing is started."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["apt-get", "download", "prometheus"], cwd=_CACHE, check=True, capture_output=True, timeout=120)
        (package,) = _CACHE.glob("prometheus_*.deb")
        subprocess.run(["dpkg-deb", "-x", package.name, "."], cwd=_CACHE, check=True, capture_output=True, timeout=60)
        package.unlink()
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return True
