"""What the rollouts and models topics say about one pipeline: which epoch is live, and which versions it takes."""

from freshet.contracts.messages import ModelVersion, Rollout

_MOVABLE = frozenset({"phase", "resident", "paused", "revoked", "deadline_ms", "cause"})
"""What may change under one epoch number: nothing of it decides who answers an event."""


class History:
    """Folds rollouts and model versions. Folding a record again changes nothing.

    A pipeline that learns for years has many thousand epochs. So what is asked at each turn (the live epoch, what is
    being prepared, who served first when) is kept as records arrive, and nothing here ever looks through all of them.

    `alarm` is set for good when one epoch number, or one version, was given two contents: somebody decided twice. The
    last content of an epoch is in force then: compaction keeps no other, so it is the one that all workers agree on,
    those that start later included.
    """

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self._epochs: dict[int, Rollout] = {}
        self._open: dict[int, Rollout] = {}
        self._first_led: dict[str, int] = {}
        self._models: dict[str, ModelVersion] = {}
        self.live: Rollout | None = None
        self.alarm: str | None = None

    def forget_rollouts(self) -> None:
        """The pipeline was deleted: nothing is known of any epoch any more."""
        self._epochs, self._open, self._first_led, self.live = {}, {}, {}, None

    def forget_models(self) -> None:
        """The same for its versions."""
        self._models = {}

    def fold_rollout(self, rollout: Rollout) -> None:
        """Take in an epoch, or the move of a known one from prepare to live or aborted."""
        if rollout.pipeline != self._pipeline:
            return
        known = self._epochs.get(rollout.epoch)
        if known is not None and _fixed_content(known) != _fixed_content(rollout):
            self._contradicted(rollout.epoch, "with two contents")
        elif known is not None and known.phase not in {rollout.phase, "prepare"}:
            if rollout.phase == "prepare":
                return  # only an old record read again
            self._contradicted(rollout.epoch, f"as {known.phase} and as {rollout.phase}")
        self._epochs[rollout.epoch] = rollout
        self._open.pop(rollout.epoch, None)
        if rollout.phase == "live":
            self._went_live(rollout)
        elif self.live is not None and self.live.epoch == rollout.epoch:  # after a contradiction only
            self.live = max(filter(_is_live, self._epochs.values()), key=_number, default=None)
        if rollout.phase == "prepare" and (self.live is None or rollout.epoch > self.live.epoch):
            self._open[rollout.epoch] = rollout

    def _went_live(self, rollout: Rollout) -> None:
        if rollout.table:
            champion = rollout.table[0].version
            self._first_led[champion] = min(rollout.epoch, self._first_led.get(champion, rollout.epoch))
        if self.live is None or rollout.epoch >= self.live.epoch:
            self.live = rollout
            self._open = {epoch: known for epoch, known in self._open.items() if epoch > rollout.epoch}

    def fold_model(self, model: ModelVersion) -> None:
        """Take in the registry's word on a version."""
        if model.pipeline != self._pipeline or not model.version:
            return
        known = self._models.setdefault(model.version, model)
        if known.manifest.digest != model.manifest.digest:
            self.alarm = (
                f"version {model.version} names two artifacts, {known.manifest.digest} and {model.manifest.digest}: "
                "the first stays in force here. Find out who else writes the models topic."
            )
            return
        self._models[model.version] = model

    def model(self, version: str) -> ModelVersion | None:
        """The registry's word on this version, once it is known here."""
        return self._models.get(version)

    def was_live(self, epoch: int) -> Rollout | None:
        """The epoch's record if it is or was live."""
        rollout = self._epochs.get(epoch)
        return rollout if rollout is not None and _is_live(rollout) else None

    def asked(self) -> list[Rollout]:
        """The epochs whose models must be in memory: the live one, then what is being prepared."""
        live = [self.live] if self.live else []
        return live + [rollout for _, rollout in sorted(self._open.items())]

    def wanted(self) -> list[str]:
        """Versions to load, the most urgent first. A table that this release cannot serve asks for nothing."""
        asked = [version for rollout in self.asked() if len(rollout.table) <= 1 for version in versions_of(rollout)]
        return [version for version in dict.fromkeys(asked) if not self.is_revoked(version)]

    def listed(self) -> set[str]:
        """Versions that must not be evicted."""
        return {version for rollout in self.asked() for version in versions_of(rollout)}

    def is_revoked(self, version: str) -> bool:
        """Whether the live epoch forbids the artifact of this version."""
        model = self.model(version)
        return self.live is not None and model is not None and model.manifest.digest in self.live.revoked

    def is_return(self, epoch: int, since: int) -> bool:
        """Whether the epoch goes back to a version that had answered before the epoch `since`."""
        champion = self._champion(epoch)
        if champion is None or champion == self._champion(since):
            return False
        return self._first_led.get(champion, since) < since

    def _champion(self, epoch: int) -> str | None:
        rollout = self.was_live(epoch)
        return rollout.table[0].version if rollout and rollout.table else None

    def _contradicted(self, epoch: int, how: str) -> None:
        self.alarm = (
            f"epoch {epoch} of {self._pipeline} was issued {how}: the last record is in force. Two registries have "
            "decided; stop one of them and issue a new epoch."
        )


def versions_of(rollout: Rollout) -> list[str]:
    """All versions that an epoch names to be in memory: who answers, who stands in, who may be returned to."""
    champions = [share.version for share in rollout.table]
    return list(dict.fromkeys([*champions, *rollout.understudies.values(), *rollout.resident]))


def _fixed_content(rollout: Rollout) -> Rollout:
    return rollout.model_copy(update=dict.fromkeys(_MOVABLE))


def _is_live(rollout: Rollout) -> bool:
    return rollout.phase == "live"


def _number(rollout: Rollout) -> int:
    return rollout.epoch
