"""What is wrong with a pipeline's folder, by itself and by what is published."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from freshet.contracts.errors import ContractError
from freshet.operate.connection import Connection
from freshet.operate.operate_error import OperateError
from freshet.operate.progress import Say
from freshet.pipeline import PipelineError, Problem, load_checked
from freshet.pipeline.record import PipelineConflictError
from freshet.runtime.bus.protocol import RetriableError
from freshet.runtime.provision import plan, refuse_conflicts
from freshet.runtime.publishing import review_pipeline


def problems_of(folder: Path, connect: Callable[[], Connection], say: Say) -> list[Problem]:
    """All problems of a folder; of one without any, why `apply` would refuse it, by what is published and by the topics
    that are there. Changes nothing. Where no Kafka is to be reached, `say` is told so.
    """
    try:
        spec, text, schema = load_checked(folder)
    except PipelineError as error:
        return [replace(found, file=str(folder / Path(found.file).name)) for found in error.problems]
    try:
        connection = connect()
        review_pipeline(connection.bus(spec.pipeline), connection.namespace, spec, text, schema)
        wanted = [(spec.pipeline, spec.partitions)]
        refuse_conflicts(plan(connection.admin, connection.namespace, wanted), adopt=False)
    except ContractError as error:
        reasons = error.reasons if isinstance(error, PipelineConflictError) else (str(error),)
        return [_refusal(folder, reason) for reason in reasons]
    except (OperateError, RetriableError) as error:
        say(f"not compared with what is published: {error}")
    return []


def _refusal(folder: Path, reason: str) -> Problem:
    event = "event.avsc"
    file = event if reason.startswith(f"{event}: ") else "pipeline.yaml"
    return Problem(0, reason.removeprefix(f"{event}: "), str(folder / file))
