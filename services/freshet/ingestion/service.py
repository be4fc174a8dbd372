"""Ingestion as a service: `freshet run ingestion`."""

from freshet.contracts.logic import Logic
from freshet.ingestion.core.logic import IngestionLogic
from freshet.ingestion.schema_asking import schema_runner
from freshet.runtime.jobs import Runner
from freshet.runtime.recovery import InputReference
from freshet.runtime.service import Context, DataService


def _logic(context: Context) -> Logic:
    return IngestionLogic(context.names.pipeline)


def _runner(context: Context) -> Runner:
    return schema_runner(context.settings.schema_registry.get_secret_value())


SERVICE = DataService(
    name="ingestion",
    logic=_logic,
    runner=_runner,
    references=(
        InputReference("features", "FeatureVector", "events", "source_partition", "source_offset", "source_topic"),
        InputReference("labels", "Label", "feedback", "source_partition", "source_offset", "source_topic"),
    ),
    # Re-keying writes to every partition: a killed worker's open transaction would hide everybody's rows for as long.
    transaction_timeout_ms=5000,
)
