"""The webhook bridge as a service: `freshet run webhook`. One for all pipelines of a namespace."""

import os
import threading
import time
from typing import Final

import structlog

from freshet.contracts.topic_table import TopicNames
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.protocol import RetriableError
from freshet.runtime.http import HealthServer, stuck
from freshet.runtime.metrics.of_services import READY
from freshet.runtime.metrics.of_webhook import BEGAN_AT_END, OF_THE_WEBHOOK
from freshet.runtime.service import EdgeService
from freshet.runtime.settings import Settings
from freshet.runtime.slot import hold_slot
from freshet.runtime.telemetry import Metrics
from freshet.webhook.bridge import Bridge
from freshet.webhook.core.delivery import KINDS
from freshet.webhook.letter_file import LetterFile
from freshet.webhook.place_note import PlaceNote
from freshet.webhook.topic_reading import NAME, TopicReading
from freshet.webhook.webhook_settings import WebhookSettings, webhook_settings

_BACK_OFF_S: Final = 1.0
_NOTHING_YET: Final = "no partition is ours yet: the bridge has just started, or another one has them."
_END_S: Final = 0.7
"""How long its end may take. Whatever is under way then was not committed, so it is sent again."""


class _Turning(threading.Thread):
    """Turns the bridge, so that a call that hangs cannot keep the process from ending."""

    def __init__(self, settings: Settings, own: WebhookSettings, metrics: Metrics, stop: threading.Event) -> None:
        super().__init__(name="bridge", daemon=True)
        self.trouble = _NOTHING_YET
        self.beat_s = time.monotonic()
        self.error: Exception | None = None
        self._settings, self._own, self._metrics, self._stopping = settings, own, metrics, stop
        self._letters = LetterFile(own.letters)

    def run(self) -> None:
        try:
            self._turn()
        except Exception as error:
            self.error = error

    def _turn(self) -> None:
        reading = self._join()
        if reading is None:
            return
        skip = self._settings.on_expired == "skip"
        bridge = Bridge(reading, self._own, self._letters, self._metrics, skip_expired=skip)
        while not self._stopping.is_set():
            self._tell(bridge.turn() or ("" if reading.lines else _NOTHING_YET))
        reading.close()
        self._letters.close()

    def _join(self) -> TopicReading | None:
        """A member of the group, once Kafka answers; None if it is time to stop."""
        settings, own = self._settings, self._own
        names = TopicNames(settings.namespace, own.name)
        bus = KafkaBus(settings.bootstrap_servers, names, extra=settings.kafka)
        fixed = settings.slots == "fixed"
        while not self._stopping.is_set():
            try:
                bus.spans(own.roles[0])
                note, slot = PlaceNote(own.letters, own.name), settings.slot
                return TopicReading(
                    bus,
                    names,
                    own.roles,
                    own.wanted,
                    note,
                    began_at_end=self._began_at_end,
                    slot=slot,
                    fixed=fixed,
                )
            except RetriableError as error:
                self._tell(str(error))
                self._stopping.wait(_BACK_OFF_S)
        return None

    def _began_at_end(self, kind: str) -> None:
        self._metrics[BEGAN_AT_END].labels(NAME, "", kind).inc()

    def _tell(self, trouble: str) -> None:
        if trouble not in ("", _NOTHING_YET, self.trouble):
            structlog.get_logger(NAME).warning("no_answer", error=trouble)
        self.trouble, self.beat_s = trouble, time.monotonic()


def _run(settings: Settings, stop: threading.Event) -> int:
    own, log = webhook_settings(), structlog.get_logger(NAME)
    transactional_id = TopicNames(settings.namespace, own.name).transactional_id(NAME, settings.slot)
    held = hold_slot(settings.state_dir, transactional_id, settings.slot)
    metrics = Metrics((*OF_THE_WEBHOOK, READY))
    metrics.tell_of_the_process()
    turning = _Turning(settings, own, metrics, stop)
    metrics[READY].labels(NAME, "").set_function(lambda: 0 if turning.trouble else 1)
    health = HealthServer(
        settings.http_host,
        settings.http_port,
        live=lambda: stuck(turning.beat_s),
        ready=lambda: turning.trouble or None,
        registry=metrics.registry,
    )
    log.info("started", http_port=health.port, pid=os.getpid(), receiver=own.target.host, kinds=own.roles)
    turning.start()
    while turning.is_alive() and not stop.wait(0.1):
        pass
    stop.set()
    turning.join(_END_S)
    if held is not None:
        held.close()
    if turning.error is not None:
        raise turning.error
    log.info("stopped")
    return 0


SERVICE = EdgeService(name=NAME, run=_run, reads=KINDS, writes=())
