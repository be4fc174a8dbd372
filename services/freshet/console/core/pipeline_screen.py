"""The page of one pipeline: seven questions, in the order in which they are asked at night."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from freshet.console.core.alive import Crew, crews
from freshet.console.core.answer import SectionAnswer, worst
from freshet.console.core.answerers import Answerers, answerers
from freshet.console.core.aside import Aside, Letters, aside
from freshet.console.core.asked_commands import Acting, acting
from freshet.console.core.changed import Changed, changed
from freshet.console.core.course_chart import Course, course_charts
from freshet.console.core.course_table import CourseTable, course_table
from freshet.console.core.doing import Doing, TrainingLine, doing
from freshet.console.core.flowing import Flowing, flowing
from freshet.console.core.folded import Folded
from freshet.console.core.marks import Marks, marks
from freshet.console.core.measured import Measurements
from freshet.console.core.rightness import Rightness, rightness
from freshet.contracts.messages import ModelVersion


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known of a pipeline beside the topics' fold, as others found it."""

    measured: Measurements = field(default_factory=Measurements)
    runs: Sequence[TrainingLine] = ()
    """Its trainings, in the order in which they began."""
    letters: Letters | None = None
    approval: str = ""
    """Who let the live epoch go live."""


@dataclass(frozen=True, slots=True)
class PipelineScreen:
    """All that the page shows."""

    name: str
    namespace: str
    partitions: int
    specification: int
    question: str
    classes: tuple[str, ...]
    flowing: Flowing
    answerers: Answerers
    right: Rightness
    changed: Changed
    doing: Doing
    aside: Aside
    acting: Acting
    marks: Marks
    chart: str
    """SVG."""
    chart_small: str
    course: CourseTable
    """What the figure draws, in numbers."""
    crews: dict[str, Crew]

    @property
    def answers(self) -> tuple[tuple[str, SectionAnswer], ...]:
        """The six that stay in sight, each with its question."""
        return (
            ("Is it flowing?", self.flowing.answer),
            ("Who answers?", self.answerers.answer),
            ("Is it right?", self.right.answer),
            ("What changed?", self.changed.answer),
            ("What is being done?", self.doing.answer),
            ("What was set aside?", self.aside.answer),
        )

    @property
    def worst(self) -> SectionAnswer:
        """What needs somebody first."""
        return worst(answer for _, answer in self.answers)


def _trained_ms(model: ModelVersion) -> int:
    """When the newest label came that a model has learned from; 0 where its lineage does not say."""
    text = model.manifest.lineage.get("trained_through_ms", "")
    return int(text) if text.isdecimal() else 0


def pipeline_screen(folded: Folded, name: str, beside: Beside, namespace: str, now_ms: int) -> PipelineScreen:
    """The page as of that moment of the broker's clock."""
    ledger, facts, spec = folded.of(name), folded.facts(name), folded.facts(name).spec
    there = crews(folded.ledger, name, now_ms)
    trained_ms = {
        version: at_ms for version, record in ledger.versions.records.items() if (at_ms := _trained_ms(record))
    }
    marked = marks(ledger, facts.quality, facts.alarms, trained_ms, now_ms)
    slices = [one.name for one in spec.slices] if spec else []
    right = rightness(ledger, facts.quality, slices, marked.since_ms, marked.until_ms)
    chart, chart_small = course_charts(Course(marked, dict(beside.measured.worst), right))
    triggers = tuple(trigger.kind for trigger in spec.retraining.triggers) if spec else ()
    trainer = spec.retraining.trainer.kind if spec else ""
    set_aside = aside(beside.letters, beside.measured.rate("dead-letters"))
    reasons = [row.reason for row in set_aside.letters.rows] if set_aside.letters else []
    return PipelineScreen(
        name=name,
        namespace=namespace,
        partitions=spec.partitions if spec else 0,
        specification=facts.spec_number,
        question=", ".join(spec.target.classes[:6]) + (" …" if len(spec.target.classes) > 6 else "") if spec else "",
        classes=spec.target.classes if spec else (),
        flowing=flowing(ledger, there, beside.measured, now_ms),
        answerers=answerers(ledger, there, spec.rollout.policy if spec else "", beside.approval),
        right=right,
        changed=changed(facts.alarms, ledger),
        doing=doing(ledger, beside.runs, there, triggers, trainer),
        aside=set_aside,
        acting=acting(ledger, facts, beside.runs, reasons=reasons, namespace=namespace, now_ms=now_ms),
        marks=marked,
        chart=chart,
        chart_small=chart_small,
        course=course_table(right, beside.measured.worst, marked.since_ms),
        crews=there,
    )
