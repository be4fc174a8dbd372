"""Measures several variants in turn, round after round, and compares each with the first one of the same round.

A shared machine is fast in one minute and slow in the next: only figures that were taken side by side are compared.
"""

import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

EXACTLY_ONCE, AT_LEAST_ONCE = "exactly-once", "at-least-once"


class NotRunError(Exception):
    """A variant gave no figure; the message says why."""


class Variant(NamedTuple):
    """Something that answers events, and what it promises."""

    name: str
    guarantee: str
    events: int
    measure: Callable[[], float]
    """CPU per event in µs. Raises NotRunError."""


def compare(title: str, variants: Sequence[Variant], rounds: int, file: Path) -> bool:
    """Measure all, print a table and keep it in `file` as JSON; False if a variant gave no figure.

    The first variant is the one that the others are compared with.
    """
    cpu_us, failed = _measure(variants, rounds)
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    print(f"\n{title}; {machine}; CPU of the worker in µs per event; {rounds} rounds")  # noqa: T201
    print(f"{'':36} {'':13} {'events':>8} {'median':>8} {'min':>8} {'max':>8} {'of do-nothing':>14}")  # noqa: T201
    rows: list[dict[str, object]] = []
    for variant in variants:
        row = {"name": variant.name, "guarantee": variant.guarantee, "events": variant.events}
        head = f"{variant.name:36} {variant.guarantee:13} {variant.events:8}"
        if variant.name in failed:
            print(f"{head} not run: {failed[variant.name]}")  # noqa: T201
            rows.append(row | {"not_run": failed[variant.name]})
            continue
        own = cpu_us[variant.name]
        ratios = [base / figure for base, figure in zip(cpu_us[variants[0].name], own, strict=False)]
        ratio = statistics.median(ratios) if ratios else float("nan")
        spread = statistics.median(own), min(own), max(own)
        print(head + "".join(f" {figure:8.2f}" for figure in spread) + f" {ratio:14.3f}")  # noqa: T201
        rows.append(row | {"cpu_us": own, "of_do_nothing": ratio})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"machine": machine, "title": title, "variants": rows}, indent=2) + "\n")
    return not failed


def _measure(variants: Sequence[Variant], rounds: int) -> tuple[Mapping[str, list[float]], Mapping[str, str]]:
    """CPU in µs of each round, and why a variant gave none; one that failed is not tried again."""
    cpu_us: dict[str, list[float]] = {variant.name: [] for variant in variants}
    failed: dict[str, str] = {}
    for round_ in range(1, rounds + 1):
        for variant in variants:
            if variant.name in failed:
                continue
            try:
                cpu_us[variant.name].append(variant.measure())
            except NotRunError as why:
                failed[variant.name] = str(why)
            said = failed.get(variant.name) or f"{cpu_us[variant.name][-1]:.2f} µs"
            print(f"round {round_}: {variant.name:36} {said}", flush=True)  # noqa: T201
    return cpu_us, failed
