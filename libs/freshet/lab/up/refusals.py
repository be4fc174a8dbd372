"""What the services of `freshet up` would each refuse to run with, found before any of them is started."""

import socket
from collections.abc import Sequence
from contextlib import suppress

from freshet.lab.up.services import Planned, processes
from freshet.operate.operate_error import OperateError
from freshet.pipeline import PipelineSpec
from freshet.runtime.service import Service, slot_ids
from freshet.runtime.settings import Settings, SettingsError
from freshet.runtime.slot import hold_slot


def refuse_keys(settings: Settings, specs: Sequence[PipelineSpec], *, registry: bool) -> None:
    """Raises SettingsError for a trust file or a private key that cannot be used, or a pipeline that lacks them."""
    demanding = [spec.pipeline for spec in specs if spec.trust == "required"]
    if demanding and settings.trust is None:
        raise SettingsError(
            f"FRESHET_TRUST: it is not set, and pipeline {', '.join(demanding)} answers with signed models only "
            "(`trust: required`): set it to the trust file. docs/trust.md says how to make one."
        )
    if not (settings.trust or (registry and (settings.release_key or settings.builder_key))):
        return
    from freshet.runtime.trust_file import TrustFile, builder_signer, release_signer  # noqa: PLC0415 (needs an extra)

    keys = None if settings.trust is None else TrustFile(settings.trust)
    if registry:
        release_signer(settings, keys)
        builder_signer(settings, keys)
    missing = [name for name in demanding if registry and settings.release_key is None]
    if missing:
        raise SettingsError(
            f"FRESHET_RELEASE_KEY: it is not set, and pipeline {', '.join(missing)} answers in signed epochs only "
            "(`trust: required`): the registry needs a key that signs them, or run it elsewhere (--no-registry)."
        )


def refuse_taken(settings: Settings, pipelines: Sequence[str], services: Sequence[Service], workers: int) -> None:
    """Raises OperateError if another process of this folder holds a slot that is wanted here."""
    for service in services:
        for slot in map(str, range(processes(service, workers))):
            for identity in slot_ids(service, pipelines, settings.namespace, slot):
                _refuse_slot(settings, service.name, identity, slot)


def _refuse_slot(settings: Settings, service: str, identity: str, slot: str) -> None:
    try:
        held = hold_slot(settings.state_dir, identity, slot)
    except SettingsError as error:
        raise OperateError(
            f"{service} runs in this folder already, as by another `freshet up`: {error}", "usage"
        ) from None
    if held is not None:
        held.close()


def refuse_ports(host: str, planned: Sequence[Planned]) -> None:
    """Raises OperateError if a port for health and metrics cannot be had."""
    for one in planned:
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                tried.bind((host, one.http_port))
                continue
        raise OperateError(
            f"port {one.http_port}, for the health and metrics of {one.name}, is in use or may not be had: choose "
            "another --http-port, or leave it out.",
            "usage",
        )
