"""What a manifest is known by must not change with the schema: an upgrade would judge every candidate anew."""

import io
import json
from hashlib import sha256

from fastavro import parse_schema, schemaless_writer

from freshet.contracts.messages import Candidate
from freshet.contracts.shipped import schemas_dir
from freshet.ledger.manifest_id import manifest_id
from support.models import linear, manifest_of


def test_manifests_of_before_required_keep_their_ids() -> None:
    """The id is that of the bytes in the schema's first version."""
    manifest = manifest_of(linear())
    schema = parse_schema(json.loads((schemas_dir() / "history/Candidate/1.avsc").read_text()))
    body = io.BytesIO()
    schemaless_writer(body, schema, Candidate(manifest=manifest).model_dump(mode="python"))
    assert manifest_id(manifest) == sha256(body.getvalue()).hexdigest()


def test_what_is_required_is_part_of_the_id() -> None:
    """Other demands on an event are another candidate."""
    manifest = manifest_of(linear())
    needing = manifest.model_copy(update={"required": manifest.inputs[:1]})
    assert manifest_id(needing) != manifest_id(manifest)
