"""What the fold of frames must know beside them: detectors, edges, and what models learned from."""

from typing import Final

from freshet.contracts.errors import ContractError
from freshet.contracts.logic import Fact
from freshet.contracts.messages import ModelVersion, PipelineRecord
from freshet.detectors.input_series import TrainedOn
from freshet.pipeline.profile_section import ProfileSpec
from freshet.pipeline.spec import PipelineSpec
from freshet.profiles.bin_edges import BinEdges, all_answer_names, answer_names, fixed
from freshet.profiles.edges_book import EdgesBook

ROLES: Final = ("pipelines", "edges", "models")
"""The control topics that tell it."""


class WatchedInputs:
    """Facts of one pipeline, from the control topics.

    None of them changes while the pipeline is there, so it does not matter when they come.
    """

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self.profiles: dict[int, ProfileSpec] = {}
        """By number of the specification."""
        self.book = EdgesBook(pipeline)
        self.edges: dict[str, BinEdges] = self.book.by_id
        """By id."""
        self.trained: dict[str, TrainedOn | None] = {}
        """By version; None where it does not say what it learned from, or where its record is deleted."""
        self.classes: tuple[str, ...] = ()
        """Those of its answers, fixed at birth; none of a regression."""
        self.unreadable = ""
        """Why the newest specification that cannot be read cannot."""

    def fold(self, fact: Fact) -> bool:
        """Take in one record; whether it is about this pipeline."""
        if not fact.key.startswith(f"{self._pipeline}/"):
            return False
        message = fact.message
        if fact.role == "models":
            told = _trained_on(message) if isinstance(message, ModelVersion) else None
            self.trained.setdefault(fact.key.rpartition("/")[2], told)
        elif isinstance(message, PipelineRecord):
            try:
                spec = PipelineSpec.parse(message.spec)
            except ContractError as error:
                self.unreadable = f" Number {message.number} cannot be read here: {error}"
                return True
            self.profiles[message.number], self.classes = spec.profile, spec.target.classes
            if classes := spec.target.classes:
                for names in (answer_names(classes), all_answer_names(classes)):  # an older release's frames have all
                    answers = fixed(names, len(classes))
                    self.edges[answers.id] = answers
        elif fact.role == "edges":
            self.book.fold(fact.key, message)
        return True


def _trained_on(record: ModelVersion) -> TrainedOn | None:
    lineage = record.manifest.lineage
    try:
        return TrainedOn(int(lineage["rows"]), int(lineage["trained_through_ms"]))
    except (KeyError, ValueError):
        return None
