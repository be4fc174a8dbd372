"""Words in a column's title that say what the column is for, in English and German."""

from typing import Final

ID_WORDS: Final = frozenset(
    [
        "id",
        "uuid",
        "guid",
        "key",
        "no",
        "nr",
        "num",
        "number",
        "nummer",
        "ref",
        "reference",
        "code",
        "index",
        "idx",
        "rowid",
    ]
)
TIME_WORDS: Final = frozenset(
    [
        "time",
        "timestamp",
        "datetime",
        "date",
        "datum",
        "zeit",
        "zeitpunkt",
        "ts",
        "at",
        "am",
        "day",
        "when",
        "created",
        "updated",
        "epoch",
        "ms",
        "millis",
    ]
)
ENTITY_WORDS: Final = frozenset(
    [
        "entity",
        "customer",
        "user",
        "client",
        "account",
        "device",
        "sensor",
        "card",
        "patient",
        "store",
        "shop",
        "kunde",
        "konto",
        "geraet",
        "maschine",
        "fahrzeug",
        "machine",
        "station",
        "host",
        "player",
        "vehicle",
        "employee",
        "merchant",
        "member",
        "person",
        "subject",
        "asset",
        "meter",
    ]
)
