"""What the rollouts and models topics say about one pipeline: which epoch is live, and which versions it takes."""

from freshet.contracts.messages import ModelVersion, Rollout

_MOVABLE = frozenset({"phase", "resident", "paused", "revoked", "deadline_ms", "cause"})
"""What may change under one epoch number: nothing of it decides who answers an event."""


class History:
    """Folds rollouts and model versions. Folding a record again changes nothing.

    `alarm` is set for good when one epoch number, or one version, was given two contents: somebody decided twice. The
    first content stays in force, so that all workers that saw it agree on who answers.
    """

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self._epochs: dict[int, Rollout] = {}
        self._models: dict[str, ModelVersion] = {}
        self.live: Rollout | None = None
        self.alarm: str | None = None

    def fold_rollout(self, rollout: Rollout) -> None:
        """Take in an epoch, or the move of a known one from prepare to live or aborted."""
        if rollout.pipeline != self._pipeline:
            return
        known = self._epochs.get(rollout.epoch)
        if known is not None and _fixed_content(known) != _fixed_content(rollout):
            self._contradicted(rollout.epoch, "with two contents")
            return
        if known is not None and known.phase not in {rollout.phase, "prepare"}:
            if rollout.phase != "prepare":  # a prepare after its own end is only an old record read again
                self._contradicted(rollout.epoch, f"as {known.phase} and as {rollout.phase}")
            return
        self._epochs[rollout.epoch] = rollout
        if rollout.phase == "live" and (self.live is None or rollout.epoch >= self.live.epoch):
            self.live = rollout

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
        return rollout if rollout is not None and rollout.phase == "live" else None

    def asked(self) -> list[Rollout]:
        """The epochs whose models must be in memory: the live one, then what is being prepared."""
        live = [self.live] if self.live else []
        newest = self.live.epoch if self.live else 0
        return live + [
            rollout for epoch, rollout in sorted(self._epochs.items()) if _is_open(rollout) and epoch > newest
        ]

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
        before = [known for known in self._epochs if known < since and self.was_live(known)]
        return champion != self._champion(since) and champion in {self._champion(known) for known in before}

    def _champion(self, epoch: int) -> str | None:
        rollout = self.was_live(epoch)
        return rollout.table[0].version if rollout and rollout.table else None

    def _contradicted(self, epoch: int, how: str) -> None:
        self.alarm = (
            f"epoch {epoch} of {self._pipeline} was issued {how}: the first record stays in force here. Two registries "
            "have decided; stop one of them and issue a new epoch."
        )


def versions_of(rollout: Rollout) -> list[str]:
    """All versions that an epoch names to be in memory: who answers, who stands in, who may be returned to."""
    champions = [share.version for share in rollout.table]
    return list(dict.fromkeys([*champions, *rollout.understudies.values(), *rollout.resident]))


def _fixed_content(rollout: Rollout) -> Rollout:
    return rollout.model_copy(update=dict.fromkeys(_MOVABLE))


def _is_open(rollout: Rollout) -> bool:
    return rollout.phase == "prepare"
