"""The logs of several processes as one, each line with the name of who said it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

_LEFT_OUT: Final = frozenset({"event", "level", "timestamp", "service", "slot", "logger"})
"""What the line says in another place already, or for every line alike."""
_VALUE_CHARS: Final = 200
_GATE: Final = "gate: refused, "
_MILESTONES: Final = frozenset({"started", "stopped"})


class MergedLog:
    """Follows log files that grow, from where they end when this is made."""

    def __init__(
        self, folder: Path, names: Sequence[str], show: Callable[[str], object], *, verbose: bool = True
    ) -> None:
        """The log of each name is `folder/<name>.log`, whether or not it is there yet; `show` is given each line.

        Without `verbose` only what `brief` leaves.
        """
        self._show, self._width = show, max(map(len, names), default=0)
        self._told = readable if verbose else brief
        self._paths = {name: folder / f"{name}.log" for name in names}
        self._read = {name: path.stat().st_size if path.exists() else 0 for name, path in self._paths.items()}
        self.last: dict[str, str] = {}
        """The last line of each name, as it was written."""

    def pump(self) -> None:
        """Show all whole lines that have been written since the last call."""
        for name, path in self._paths.items():
            if not path.exists():
                continue
            with path.open("rb") as file:
                file.seek(self._read[name])
                whole, newline, _ = file.read().rpartition(b"\n")
            self._read[name] += len(whole) + len(newline)
            for line in whole.decode(errors="replace").splitlines():
                self.last[name] = line
                if told := self._told(line, name):
                    self._show(f"{name:<{self._width}} | {told}")


def brief(line: str, process: str = "") -> str:
    """A line if it is a start, an end, a decision, a warning, an error or no log line at all; "" for anything else."""
    fields = _fields(line)
    if fields is None or fields.get("level", "info") != "info" or fields["event"] in _MILESTONES:
        return readable(line, process)
    message = fields.get("message")
    if fields.get("role") == "decisions" and isinstance(message, dict):
        return f"{_time(fields)} {message.get('pipeline')}: {_decided(message)}"
    if fields.get("role") == "trainings" and isinstance(message, dict):
        what = f"training {str(message.get('training'))[:8]} {message.get('phase')} ({message.get('trigger')})"
        rows = f"rows {message.get('from_row'):,} to {message.get('cut_row'):,}"
        return f"{_time(fields)} {message.get('pipeline')}: {what}: {message.get('reason') or rows}"
    return ""


def _decided(decision: dict[str, Any]) -> str:
    """A version that a policy holds back is admitted all the same: `refused` alone would contradict that."""
    verdict, reason, inputs = decision.get("verdict"), str(decision.get("reason")), decision.get("inputs")
    if verdict == "done":
        return reason
    if decision.get("about") == "rollout" and isinstance(inputs, dict) and "compared with" in inputs:
        return f"{decision.get('subject')} is admitted, but not rolled out, {reason.removeprefix(_GATE)}"
    return f"{verdict}: {reason}"


def readable(line: str, process: str = "") -> str:
    """A JSON log line for people: time, level if it is not info, event, and the rest as name=value.

    Where a process runs several services, as `drift-0` does, the line says which of them it is from.
    """
    fields = _fields(line)
    if fields is None:
        return line
    level = str(fields.get("level", "info"))
    shown = _short if level == "info" else _text  # the advice stands at the end of an error
    rest = " ".join(f"{name}={shown(value)}" for name, value in fields.items() if name not in _LEFT_OUT)
    who = (_time(fields), "" if level == "info" else level.upper(), _part(fields, process))
    return " ".join(part for part in (*who, str(fields["event"]), rest) if part)


def _part(fields: dict[str, Any], process: str) -> str:
    service = str(fields.get("service", ""))
    return "" if not process or process.startswith(service) else f"{service}:"


def sentence(line: str) -> str:
    """What a process said last, when it says why it cannot run."""
    fields = _fields(line)
    return str(fields.get("error", fields["event"])) if fields else line.removeprefix("error: ")


def _fields(line: str) -> dict[str, Any] | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) and "event" in fields else None


def _time(fields: dict[str, Any]) -> str:
    return str(fields.get("timestamp", ""))[11:19]


def _text(value: Any) -> str:
    return value if isinstance(value, str) and " " not in value else json.dumps(value, ensure_ascii=False)


def _short(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= _VALUE_CHARS else f"{text[:_VALUE_CHARS]}…"
