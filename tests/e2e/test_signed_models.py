"""A pipeline that demands signatures, as processes on a real Kafka: only what is signed answers."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from freshet.avro import Decoder, Strings
from freshet.avro.control import encode
from freshet.avro.own_schemas import current_schema
from freshet.cli.main import app
from freshet.contracts.messages import ModelVersion, Rollout, WorkerState
from freshet.contracts.shipped import pipelines_dir
from freshet.lab.demo import loans
from freshet.lab.demo.training import train_and_pack
from freshet.lab.local_deployment import LocalDeployment
from freshet.models.bundle import Bundle
from freshet.operate.private_key import sign_bundle
from freshet.operate.tables.events import Events
from freshet.operate.tables.features import feature_rows
from freshet.operate.verify.signatures import EPOCHS, VERSIONS
from freshet.runtime.artifacts import publish_model
from freshet.runtime.bus.protocol import Send
from freshet.runtime.reading import everything
from freshet.trust.signing_key import SigningKey
from freshet.trust.statements import release_statement
from support.services import until
from support.signed import KeyRing

pytestmark = [pytest.mark.kafka, pytest.mark.e2e, pytest.mark.timeout(600)]

ROWS: Final = 300
WORKER: Final = "inference-0"


class Signed(LocalDeployment):
    """Loans that demands signatures, with one worker; the keys are made on the spot."""

    def __init__(self, kafka: str, namespace: str, place: Path) -> None:
        super().__init__(kafka, namespace, _demanding(place), place / "logs", workers=1)
        self.ring, self.spare, self._place = KeyRing(), SigningKey.generate(), place
        self.ring.trust(self.spare, "builder")
        self.file = self.ring.save(place)

    def _env_of(self, principal: str) -> dict[str, str]:
        """Each process has the files that docs/deploy.md gives it."""
        trust = {"FRESHET_TRUST": str(self.file)} if principal in ("registry", "inference") else {}
        release = {"FRESHET_RELEASE_KEY": str(self._place / "release.pem")} if principal == "registry" else {}
        return super()._env_of(principal) | {"FRESHET_STATE_DIR": str(self._place / "state")} | trust | release

    def begin(self) -> None:
        """Publish the pipeline, start what answers, and make two models."""
        self.apply()
        for name in ("registry", "ingestion-0", WORKER):
            self.run(name)
        self.events = loans.sample(self.schema, ROWS, seed=5)
        rows, labels = feature_rows(self.spec, self.schema, self.events)
        self.first, self.second = (
            train_and_pack("linear", rows[:until_row], labels[:until_row], self.spec).bundle
            for until_row in (ROWS - 50, ROWS)
        )

    def verdict(self, bundle: Bundle, *keys: SigningKey) -> ModelVersion:
        """Publish a bundle with these builders' signatures; the registry's word on it."""
        for key in keys:
            bundle = sign_bundle(bundle, key)
        offset = publish_model(self.producer, bundle.data, bundle.manifest, bundle.signatures).offset
        return self.view.wait("a verdict", lambda view: view.ledger.versions.verdict(bundle.manifest, offset))

    @property
    def worker(self) -> WorkerState:
        """What the worker says of itself."""
        self.view.refresh()
        beat = self.view.ledger.workers.beats.get(self.names.worker("inference", "0"))
        return beat.worker if beat else WorkerState(instance="", service="", pipeline="", interval_ms=1)

    def answers(self, name: str, version: str, epoch: int) -> None:
        """Events of that name are answered by this version under this epoch, all of them."""
        ids = [f"{name}-{row}" for row in range(ROWS)]
        list(self.load().publish([Events({**self.events.columns, "event_id": Strings.from_list(ids)})]))
        self.wait_drained()
        decoder, found = Decoder(current_schema("Prediction")), list[tuple[str, str, int]]()
        for batch in everything(self.bus, "predictions"):
            columns = decoder.decode(batch.values).columns
            told = (columns["event_id"], columns["version"])
            assert all(isinstance(column, Strings) for column in told)
            texts = [column.tolist() for column in told if isinstance(column, Strings)]
            found += zip(*texts, columns["epoch"].tolist(), strict=True)  # type: ignore[union-attr]
        ours = [(by, under) for event_id, by, under in found if event_id.startswith(f"{name}-")]
        assert (len(ours), {*ours}) == (ROWS, {(version, epoch)})

    def write(self, record: Rollout, signatures: Mapping[str, bytes] | None = None) -> None:
        """What anybody may who may write the topic."""
        signed = record if signatures is None else record.model_copy(update={"signatures": signatures})
        self.producer.send(Send("rollouts", [f"{record.pipeline}/{record.epoch}".encode()], [encode(signed)]))

    def freshet(self, *words: object) -> Any:
        """What a command says, as JSON."""
        env = {"KAFKA_BOOTSTRAP_SERVERS": self._bootstrap_servers, "FRESHET_NAMESPACE": self.names.namespace}
        return json.loads(CliRunner().invoke(app, [*map(str, words), "--json"], env=env).stdout)

    def verify(self, *options: str) -> Any:
        """What `freshet verify` says."""
        return self.freshet("verify", "--pipeline", self.spec.pipeline, *options)

    def refuses(self, code: str) -> None:
        """The worker says that it does not believe an epoch, and why."""
        until(lambda: any(code in told for told in self.worker.warnings), f"{code} in {self.worker.warnings}")

    def revoke(self, key: SigningKey) -> None:
        """Change the trust file, and wait until both processes have seen it."""
        self.ring.revoke(key)
        self.ring.save(self._place)
        for name in ("registry", WORKER):
            until(lambda name=name: "trust_file_changed" in self._log(name), f"{name} to read the file")  # type: ignore[misc]

    def _log(self, name: str) -> str:
        return (self._place / "logs" / f"{name}.log").read_text()


def _demanding(place: Path) -> Path:
    """The folder of a pipeline whose models are rolled out by hand, if they are signed."""
    folder = place / "loans"
    folder.mkdir()
    for file in (pipelines_dir() / "loans").iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    text = (folder / "pipeline.yaml").read_text().replace("policy: immediate", "policy: manual")
    (folder / "pipeline.yaml").write_text(f"{text}\ntrust: required\n")
    return folder


@pytest.fixture
def stage(kafka: str, namespace: str, tmp_path: Path) -> Iterator[Signed]:
    """Registry, ingestion and a worker, without a model."""
    with closing(Signed(kafka, namespace, tmp_path)) as made:
        made.begin()
        yield made


def test_only_what_is_signed_answers_whatever_is_written(stage: Signed) -> None:
    """A signed model answers; what is not is refused by its code, and the version that answered goes on."""
    ring, spare = stage.ring, stage.spare
    made = stage.verdict(stage.first, ring.builder)
    other = stage.verdict(stage.second, spare)
    assert (made.state, other.state) == ("admitted", "admitted")
    for epoch, version in ((1, other.version), (2, made.version)):
        assert stage.ask("promote", version).verdict == "done"
        until(lambda epoch=epoch: stage.worker.live_epoch == epoch, f"epoch {epoch}")  # type: ignore[misc]
        if epoch == 1:
            stage.answers("before", version, epoch)
    stage.answers("first", made.version, 2)

    # candidates: nobody's, a stranger's, and those of a builder whose key is revoked
    known = stage.view.ledger.epochs.records[1]
    assert stage.verdict(_again(stage.first, "a")).reason.startswith("signature_missing: ")
    assert stage.verdict(_again(stage.first, "b"), ring.stranger).reason.startswith("signature_unknown_key: ")
    stage.revoke(spare)
    assert stage.verdict(_again(stage.first, "c"), spare).reason.startswith("signature_revoked_key: ")
    refused = stage.ask("promote", other.version)
    assert refused.verdict == "refused"
    assert "signature_revoked_key" in refused.reason
    stage.answers("candidates", made.version, 2)

    # epochs past the registry: an old one again, one of another life, a stranger's, nobody's; over the live one, too
    stage.write(known)
    stage.write(known.model_copy(update={"epoch": 3}))
    stage.refuses("signature_invalid")
    ahead = known.model_copy(update={"epoch": 60, "life": "before"})
    stage.write(ahead, ring.release.sign(release_statement(ahead)))
    stage.refuses("signature_other_life")
    for epoch, key, code in ((61, ring.stranger, "signature_unknown_key"), (62, None, "signature_missing")):
        forged = known.model_copy(update={"epoch": epoch})
        stage.write(forged, key.sign(release_statement(forged)) if key else {})
        stage.refuses(code)
    stage.write(stage.view.ledger.epochs.records[2], {})
    assert stage.worker.live_epoch == 2
    stage.answers("epochs", made.version, 2)

    # the registry goes on where it was, and the topics alone tell that nobody else was believed
    assert stage.ask("promote", made.version).verdict == "done"
    until(lambda: stage.worker.live_epoch == 4, "epoch 4, since a stranger has had 3")
    stage.answers("after", made.version, 4)
    stage.write(known.model_copy(update={"epoch": 4}))
    found = stage.verify("--trust", str(stage.file))
    assert found["ok"], found["findings"]
    assert any("epoch 3: signature_invalid" in told for told in found["warnings"])
    looked_at = {finding["check"]: finding["looked_at"] for finding in found["findings"]}
    assert looked_at[EPOCHS] == 3 * stage.spec.partitions
    assert looked_at[VERSIONS] == 1
    assert [(one["role"], one["count"]) for one in found["unjudged"] if "revoked" in one["why"]] == [("models", 1)]
    assert "signatures were not judged, since no trust file was given" in stage.verify()["sentence"]


def test_what_a_revoked_builder_made_is_fetched_and_signed_again(stage: Signed, tmp_path: Path) -> None:
    """Nobody has its bundle any more: three commands and a promotion, and it answers."""
    ring, bundle = stage.ring, tmp_path / "bundle"
    version = stage.verdict(stage.first, stage.spare).version
    stage.revoke(stage.spare)
    refused = stage.ask("promote", version)
    assert refused.verdict == "refused"
    assert "signature_revoked_key" in refused.reason
    assert "freshet model fetch" in refused.reason

    fetched = stage.freshet("model", "fetch", version, "--pipeline", stage.spec.pipeline, "-o", bundle)
    assert (fetched["digest"], fetched["keys"]) == (stage.first.manifest.digest, [stage.spare.id])
    trust = ("--trust", stage.file)
    signed = stage.freshet("model", "sign", bundle, "--key", tmp_path / "builder.pem", "--only", *trust)
    assert signed["keys"] == [ring.builder.id]
    assert stage.freshet("model", "publish", bundle)["version"] == version
    assert stage.ask("promote", version).verdict == "done"
    until(lambda: stage.worker.live_epoch == 1, "epoch 1")
    stage.answers("again", version, 1)
    (row,) = stage.freshet("model", "list", "--pipeline", stage.spec.pipeline, *trust)
    assert row["signed_by"] == {ring.builder.id: "trusted"}
    (line,) = [one for one in stage.freshet("doctor", *trust) if one["about"] == "signatures loans"]
    assert line["health"] == "ok"
    assert stage.verify(*map(str, trust))["ok"]


def _again(bundle: Bundle, name: str) -> Bundle:
    """The same bytes as a candidate of their own."""
    lineage = {**bundle.manifest.lineage, "training_set": json.dumps(name)}
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"lineage": lineage}), signatures={})
