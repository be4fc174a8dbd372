"""What every rollout policy must be, whoever wrote it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from itertools import chain, product, starmap
from typing import Final, Literal

from freshet.contracts.messages import Change, Golden, Manifest, ModelState, ModelVersion
from freshet.ledger.versions import VersionState
from freshet.pipeline.gate import CHAMPION, GateVerdict, Verdict
from freshet.registry.core.policy import Opinion, Policy, View
from freshet.testing.conformance import ConformanceError, require

Event = Literal["good model", "poor model", "bad model", "promote", "rollback", "quarantine"]
"""A model that passed its gate, one that failed it, one that no worker can hold; an operator promotes or rolls back;
the serving one fails."""

_MODELS: Final[frozenset[Event]] = frozenset({"good model", "poor model", "bad model"})
_EVENTS: Final[tuple[Event, ...]] = ("good model", "poor model", "bad model", "promote", "rollback", "quarantine")
_JUDGED: Final[tuple[tuple[Verdict, bool], ...]] = (("pass", False), ("pass", True), ("fail", False), ("none", False))
"""What came of the gate, and whether a person has to approve."""
_LENGTH: Final = 4
_STEPS: Final = 20


def check_policy(part: type[Policy]) -> None:
    """Check a rollout policy in every view of three versions, and in all stories of four events.

    It must choose the same in the same view, and only an admitted version that does not serve. Its opinion must be the
    same, too: of a version that there is, with a reason, and told once. It must settle: of itself it begins at most one
    rollout for each new model, and while nothing else changes it soon wants nothing. And it must let an operator's
    rollback be. Views hold what is known of each version: a gate that it passed or failed, or none; what was told.
    Raises ConformanceError.
    """
    kind = getattr(part, "kind", "")
    require(kind, f"{part.__name__} has no `kind`, the word that names it in pipeline.yaml.")
    for view in _views():
        _opine(part, view)
        _choose(part, view)
    lengths = range(1, _LENGTH + 1)  # the shortest first: it is the easiest to understand
    for events in chain.from_iterable(product(_EVENTS, repeat=length) for length in lengths):
        story = _Story(part)
        for event in events:
            story.happens(event)


def _views() -> Iterator[View]:
    numbers = ("1.0.0", "1.1.0", "2.0.0")
    known: tuple[ModelState, ...] = ("admitted", "retired", "quarantined")
    yield View((), "", frozenset())
    for states in product(known, repeat=3):
        versions = tuple(starmap(VersionState, zip(numbers, states, strict=True)))
        for serving, tried in product(("", *numbers), (frozenset[str](), frozenset(numbers[:1]), frozenset(numbers))):
            for verdict, approval in _JUDGED:
                records = {known.version: _record(known, serving, verdict) for known in versions}
                yield View(versions, serving, tried | ({serving} if serving else frozenset()), records, approval)


@cache
def _record(known: VersionState, rival: str, verdict: Verdict) -> ModelVersion:
    """A version that was compared with `rival`, and what came of that."""
    clauses = () if verdict == "none" else (f"accuracy 0.9 must be at least 0.8: {verdict}",)
    manifest = Manifest(
        pipeline="p",
        digest=sha256(known.version.encode()).hexdigest(),
        size_bytes=1,
        chunk_bytes=1,
        chunk_digests=("c",),
        inputs=("amount",),
        classes=(),
        input_name="features",
        output_name="scores",
        opset=17,
        golden=Golden(rows=1, features=bytes(4), scores=bytes(4)),
        trainer="test",
        lineage={CHAMPION: rival, **GateVerdict(verdict, clauses).lineage} if clauses else {},
    )
    history = (Change(at_ms=0, what=f"admitted as {known.version}"),)
    return ModelVersion(
        pipeline="p", version=known.version, state=known.state, reason="", manifest=manifest, history=history
    )


def _opine(part: type[Policy], view: View) -> Opinion | None:
    """Its opinion, if it may have it."""
    try:
        said, again = part().opinion(view), part().opinion(view)
    except Exception as error:
        raise ConformanceError(
            f"the opinion of policy {part.kind!r} raises {type(error).__name__} ({error}) {_seen(view)}."
        ) from error
    require(said == again, f"policy {part.kind!r} has two opinions {_seen(view)}: they may depend on the view alone.")
    require(
        said is None or (said.version in view.records and said.reason != ""),
        f"policy {part.kind!r} has an opinion of {said.version if said else ''!r} {_seen(view)}: it may only speak of "
        "a version that there is, and must give a reason.",
    )
    return said


def _choose(part: type[Policy], view: View) -> str | None:
    """What it chooses, if it may."""
    try:
        chosen, again = part().choose(view), part().choose(view)
    except Exception as error:
        raise ConformanceError(
            f"policy {part.kind!r} raises {type(error).__name__} ({error}) {_seen(view)}."
        ) from error
    require(
        chosen == again,
        f"policy {part.kind!r} chooses {chosen!r}, and asked again {again!r}, {_seen(view)}: it may depend on "
        "nothing but the view.",
    )
    admitted = {known.version for known in view.versions if known.state == "admitted"}
    require(
        chosen is None or (chosen in admitted and chosen != view.serving),
        f"policy {part.kind!r} chooses {chosen!r} {_seen(view)}: it may only choose an admitted version that does not "
        "serve, or None.",
    )
    return chosen


def _seen(view: View) -> str:
    versions = ", ".join(f"{known.version} {known.state}" for known in view.versions) or "no version"
    return f"in a view of {versions}; serving: {view.serving or 'none'}; tried: {', '.join(sorted(view.tried)) or '-'}"


@dataclass
class _Story:
    """One pipeline in miniature, and what happened to it so far."""

    part: type[Policy]
    versions: dict[str, ModelState] = field(default_factory=dict)
    records: dict[str, ModelVersion] = field(default_factory=dict)
    serving: str = ""
    served: list[str] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    bad: set[str] = field(default_factory=set)
    events: list[str] = field(default_factory=list)
    begun: int = 0

    def happens(self, event: Event) -> None:
        """The event, and whatever the policy makes of it."""
        self.events.append(event)
        match event:
            case "good model" | "poor model" | "bad model":
                version = f"1.{len(self.versions)}.0"
                self.versions[version] = "admitted"
                verdict: Verdict = "fail" if event == "poor model" else "pass"
                self.records[version] = _record(VersionState(version, "admitted"), self.serving, verdict)
                if event == "bad model":
                    self.bad.add(version)
            case "promote":
                self._go_live(next((v for v, state in self.versions.items() if state == "admitted"), ""))
            case "rollback":
                self._rollback()
            case "quarantine" if self.serving:
                self.versions[self.serving] = "quarantined"
                hurt = self.records[self.serving].model_copy(update={"state": "quarantined"})
                self.records[self.serving] = hurt
                self._go_live(self._predecessor())
        self._settle()
        if _MODELS.issuperset(self.events):
            require(
                self.begun <= len(self.versions),
                f"{self._told()} it began {self.begun} rollouts of itself: there may be one for each model at most.",
            )

    def _rollback(self) -> None:
        target = self._predecessor()
        if not target:
            return
        self._go_live(target)
        self._settle()
        require(
            self.serving == target,
            f"{self._told()} it replaces {target} by {self.serving}: what an operator rolled back to must stay until "
            "there is another model or command.",
        )

    def _predecessor(self) -> str:
        """The version that served last before the serving one, and still may."""
        usable = [v for v in self.served if v != self.serving and self.versions[v] == "admitted"]
        return usable[-1] if usable else ""

    def _go_live(self, version: str) -> None:
        self.serving = version
        if version:
            self.served.append(version)
            self.tried.add(version)

    def _settle(self) -> None:
        """Carry out what it chooses, until it wants nothing more."""
        for _ in range(_STEPS):
            chosen = _choose(self.part, self._told_all())
            if chosen is None:
                return
            self.begun += 1
            self.tried.add(chosen)
            if chosen not in self.bad:
                self._go_live(chosen)
        raise ConformanceError(
            f"{self._told()} it begins one rollout after the other although nothing else changes, {chosen} again and "
            "again: it must settle. `View.tried` holds what has had its rollout."
        )

    def _told_all(self) -> View:
        """The view once all of its opinions stand in the histories of versions."""
        told: list[str] = []
        while True:
            states = tuple(starmap(VersionState, self.versions.items()))
            view = View(states, self.serving, frozenset(self.tried), {**self.records})
            said = _opine(self.part, view)
            if said is None:
                return view
            told.append(said.version)
            require(
                len(told) <= len(self.versions),
                f"{self._told()} it tells its opinion of {said.version} again although that stands in the version's "
                "history already: look there, and say it once.",
            )
            record = self.records[said.version]
            line = Change(at_ms=len(record.history), what=said.reason)
            self.records[said.version] = record.model_copy(update={"history": (*record.history, line)})

    def _told(self) -> str:
        return f"policy {self.part.kind!r}: after {', '.join(self.events)}"
