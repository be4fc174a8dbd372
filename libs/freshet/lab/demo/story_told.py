"""Alarms and trainings of a stream, told as they come."""

from freshet.lab.demo.drift_watch import DriftWatch, alarm_line, detected
from freshet.lab.demo.narrator import Narrator
from freshet.lab.demo.training_watch import TrainingWatch, is_done, training_line
from freshet.lab.local_deployment import LocalDeployment


class StoryTold:
    """Tells each change that is detected, and each training that has ended, once. Not thread-safe."""

    def __init__(self, deployment: LocalDeployment, narrator: Narrator, *, trainings: bool = True) -> None:
        """Without `trainings`, somebody else tells of them."""
        self._narrator = narrator
        self._drift = DriftWatch(deployment)
        self._trainings = TrainingWatch(deployment) if trainings else None
        self._alarms, self._ended = 0, set[str]()

    def go_on(self) -> None:
        """Tell what has come since the last call. Raises LocalError if the broker does not give it."""
        self._drift.take()
        for alarm in detected(self._drift.alarms[self._alarms :]):
            self._narrator.line(alarm_line(alarm))
        self._alarms = len(self._drift.alarms)
        if self._trainings is None:
            return
        self._trainings.take()
        for run in self._trainings.runs:
            if is_done(run) and run.last.training not in self._ended:
                self._ended.add(run.last.training)
                self._narrator.line(training_line(run))

    def close(self) -> None:
        """Free the readers."""
        self._drift.close()
        if self._trainings is not None:
            self._trainings.close()
