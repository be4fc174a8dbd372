"""Tables as people have them: each is written to a file, and knows what every row of it has to become."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from freshet.contracts.arrays import Floats

ROWS: Final = 300
_BEGAN: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Row:
    """What the row of a table is: its event id ("" where the table has none), its features, its label (None: blank)."""

    event_id: str
    features: Sequence[float | None]
    label: str | None


@dataclass(frozen=True, slots=True)
class TableCase:
    """A table, and what has to come of it."""

    name: str
    file: str
    label: str
    features: tuple[str, ...]
    rows: tuple[Row, ...]
    content: bytes

    @property
    def values(self) -> Floats:
        """The features, float64 (rows, features), rounded to float32 as models are served; NaN where there is none."""
        cells = [[np.nan if value is None else value for value in row.features] for row in self.rows]
        return np.array(cells, np.float32).astype(np.float64)


def one_hot(value: str | None, vocabulary: Sequence[str]) -> list[float | None]:
    """A column for each word, and one for others; all are 0 where there is no value."""
    others = value is not None and value not in vocabulary
    return [*(float(value == word) for word in vocabulary), float(others)]


def _named(column: str, vocabulary: Sequence[str]) -> list[str]:
    return [f"{column}={word}" for word in (*vocabulary, "other")]


def _text(rows: Sequence[Sequence[Any]], delimiter: str = ",", end: str = "\n") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(rows)
    return out.getvalue()


def _comma(value: float, digits: int = 2) -> str:
    """1.234,50: as a German spreadsheet writes it."""
    return f"{value:,.{digits}f}".translate(str.maketrans(",.", ".,"))


def transactions() -> TableCase:
    """Ids, a time with a Z, a returning customer, blanks in numbers and categories, truths as words."""
    rng = np.random.default_rng(1)
    currencies, countries = ("EUR", "GBP", "USD"), ("DE", "FR", "NL", "US")
    rows: list[Row] = []
    cells: list[list[Any]] = [
        ["transaction_id", "timestamp", "customer", "amount", "currency", "country", "age", "card", "y"]
    ]
    for n in range(ROWS):
        amount = None if n % 25 == 3 else round(float(rng.lognormal(3.5, 1.1)), 2)
        currency, country = currencies[rng.integers(3)], None if n % 31 == 5 else countries[rng.integers(4)]
        age, card = None if n % 10 == 7 else int(rng.integers(1, 4000)), bool(rng.random() < 0.6)
        label = str((amount or 0) > 60 and not card).lower()
        features = [amount, *one_hot(currency, currencies), *one_hot(country, countries), age, float(card)]
        rows.append(Row(f"tx-{n:06d}", features, label))
        at = (_BEGAN + timedelta(seconds=40 * n)).isoformat().replace("+00:00", "Z")
        shown = ["" if value is None else value for value in (amount, currency, country, age)]
        cells.append([f"tx-{n:06d}", at, f"c{rng.integers(40)}", *shown, str(card).lower(), label])
    names = ("amount", *_named("currency", currencies), *_named("country", countries), "age", "card")
    return TableCase("transactions", "transactions.csv", "y", names, tuple(rows), _text(cells).encode())


def sensors() -> TableCase:
    """A regression with times in milliseconds since 1970, and no id."""
    rng = np.random.default_rng(2)
    rows: list[Row] = []
    cells: list[list[Any]] = [["sensor_id", "ts", "temp", "humidity", "vibration", "rpm", "remaining_hours"]]
    for n in range(ROWS):
        temp, humidity = round(float(rng.normal(60, 8)), 2), round(float(rng.uniform(20, 90)), 1)
        vibration, rpm = round(float(abs(rng.normal(1, 0.4))), 4), int(rng.integers(800, 3000))
        label = f"{500 - 3 * temp - 80 * vibration + rpm * 0.02:.2f}"
        rows.append(Row("", [temp, humidity, vibration, rpm], label))
        at = int(_BEGAN.timestamp() * 1000) + 1731 * n
        cells.append([f"S{rng.integers(1, 30):02d}", at, temp, humidity, f"{vibration:.4f}", rpm, label])
    names = ("temp", "humidity", "vibration", "rpm")
    return TableCase("sensors", "sensors.csv", "remaining_hours", names, tuple(rows), _text(cells).encode())


def tickets() -> TableCase:
    """A mark at the beginning, semicolons (in cells, too), CR LF, and titles and classes with umlauts, dots, spaces."""
    rng = np.random.default_rng(3)
    channels, subjects = ("Chat; Web", "E-Mail", "Telefon"), ('Er sagte "nein"', "Frage; dringend", "Hallo, bitte")
    classes = ("Abrechnung", "Kündigung", "Lob", "Sonstiges", "Technik")
    titles = ["Ticket ID", "Erstellt am", "Kanal", "Länge.Text", "Größe (kB)", "KUNDE.Alter", "Betreff, kurz", "Klasse"]
    rows: list[Row] = []
    cells: list[list[Any]] = [titles]
    for n in range(ROWS):
        kind = int(rng.integers(5))
        channel, subject = channels[rng.integers(3)], subjects[rng.integers(3)]
        length, size = int(50 + 80 * kind + rng.normal(0, 30)), round(float(abs(rng.normal(3 + kind, 1))), 2)
        age = int(rng.integers(18, 90))
        features = [*one_hot(channel, channels), length, size, age, *one_hot(subject, subjects)]
        rows.append(Row(f"T-{n}", features, classes[kind]))
        at = (_BEGAN + timedelta(seconds=97 * n)).strftime("%Y-%m-%d %H:%M:%S")
        cells.append([f"T-{n}", at, channel, length, f"{size:.2f}", age, subject, classes[kind]])
    names = (*_named("Kanal", channels), "Laenge_Text", "Groesse_kB", "KUNDE_Alter", *_named("Betreff_kurz", subjects))
    content = _text(cells, ";", "\r\n").encode("utf-8-sig")
    return TableCase("tickets", "tickets.csv", "Klasse", names, tuple(rows), content)


def bare() -> TableCase:
    """Four numbers and a name: no id, no time, no entity."""
    rng = np.random.default_rng(4)
    species, names = ("setosa", "versicolor", "virginica"), ("sepal_length", "sepal_width", "petal_length", "petal_w")
    rows: list[Row] = []
    cells: list[list[Any]] = [[*names, "species"]]
    for _ in range(ROWS):
        kind = int(rng.integers(3))
        middle = (5 + 0.8 * kind, 3.4 - 0.3 * kind, 1.5 + 2 * kind, 0.4 + 0.9 * kind)
        values = [round(float(rng.normal(at, 0.3)), 1) for at in middle]
        rows.append(Row("", values, species[kind]))
        cells.append([*map(str, values), species[kind]])
    return TableCase("bare", "bare.csv", "species", names, tuple(rows), _text(cells).encode())


def wide() -> TableCase:
    """Two hundred columns, of which one numbers the rows, and classes 0 and 1."""
    rng = np.random.default_rng(5)
    names = tuple(f"f{at:03d}" for at in range(197))
    rows: list[Row] = []
    cells: list[list[Any]] = [["id", "time", *names, "y"]]
    for n in range(ROWS):
        values = [round(float(value), 4) for value in rng.normal(size=len(names))]
        label = str(int(values[0] + values[1] - values[2] > 0))
        rows.append(Row(str(n), values, label))
        cells.append([str(n), (_BEGAN + timedelta(seconds=n)).isoformat(), *map(str, values), label])
    return TableCase("wide", "wide.csv", "y", names, tuple(rows), _text(cells).encode())


def messy() -> TableCase:
    """Blank labels and categories, rows that are there twice, a column that never changes, dates with dots."""
    rng = np.random.default_rng(6)
    segments = ("A", "B", "C")
    rows: list[Row] = []
    cells: list[list[Any]] = [["order_no", "date", "store", "value", "items", "segment", "returned"]]
    for n in range(ROWS):
        value, items = round(float(rng.normal(100, 20)), 2), int(rng.integers(10))
        segment = (*segments, None)[rng.integers(4)]
        label = None if n % 5 == 2 else "yes" if value + items * 5 > 125 else "no"
        day = (_BEGAN + timedelta(days=n // 10)).strftime("%d.%m.%Y")
        for _ in range(2 if n % 20 == 11 else 1):
            rows.append(Row(str(1000 + n), [value, items, *one_hot(segment, segments)], label))
            cells.append([str(1000 + n), day, "shop-1", f"{value:.2f}", str(items), segment or "", label or ""])
    names = ("value", "items", *_named("segment", segments))
    return TableCase("messy", "messy.csv", "returned", names, tuple(rows), _text(cells).encode())


def german() -> TableCase:
    """As an office in Germany sends it: mark, semicolons, decimal commas with dots for thousands, NA, broken lines."""
    rng = np.random.default_rng(7)
    titles = ["Vorgangs-Nr.", "Zeitpunkt", "Größe (m²)", "Preis in €", "Straße", "Bemerkung", "Güte"]
    streets = ("Straße\nam Öhr", "Ährenweg")
    rows: list[Row] = []
    cells: list[list[Any]] = [titles]
    for n in range(ROWS):
        size, price = round(float(rng.uniform(20, 200)), 1), round(float(rng.uniform(200, 9000)), 2)
        street, missing = streets[n % 2], n % 17 == 4
        label = "mäßig" if price / size > 40 else "gut"
        rows.append(Row(f"V/{n}", [size, None if missing else price, *one_hot(street, streets)], label))
        at = (_BEGAN + timedelta(minutes=1471 * n % 500_000)).strftime("%d.%m.%Y %H:%M")
        price_text = "NA" if missing else _comma(price)
        cells.append([f"V/{n}", at, f" {_comma(size, 1)} ", price_text, street, f"Nr. {n}; siehe oben", label])
    names = ("Groesse_m2", "Preis_in", *_named("Strasse", streets))
    content = (_text(cells, ";", "\r\n") + "\r\n;;;;;;\r\n").encode("utf-8-sig")
    return TableCase("german", "german.csv", "Güte", names, tuple(rows), content)


def excel() -> TableCase:
    """What a spreadsheet saves as Unicode text: UTF-16 with tabs, decimal commas, the day before the month."""
    rng = np.random.default_rng(8)
    rows: list[Row] = []
    cells: list[list[Any]] = [["Zeit", "Gerät", "Größe 1", "Größe-1", "", "Ziel"]]
    for n in range(ROWS):
        one, two = round(float(rng.normal(0, 50)), 3), int(rng.integers(100))
        label = round(3 * one - two, 3)
        rows.append(Row("", [one, two], f"{label:.3f}"))
        at = (_BEGAN + timedelta(hours=n)).strftime("%d/%m/%Y %H:%M:%S")
        cells.append([at, f"Gerät {n % 7}", f"{one:.3f}".replace(".", ","), two, "", f"{label:.3f}".replace(".", ",")])
    content = _text(cells, "\t", "\r\n").encode("utf-16")
    return TableCase("excel", "excel.txt", "Ziel", ("Groesse_1", "Groesse_1_2"), tuple(rows), content)


def lines() -> TableCase:
    """JSON lines: objects in objects, keys that are no names, keys that are not always there, numbers as text."""
    rng = np.random.default_rng(9)
    rows, written = [], []
    for n in range(ROWS):
        lat, size = round(float(rng.normal(50, 5)), 5), None if n % 13 == 2 else round(float(rng.uniform(1, 9)), 2)
        paid, tier = bool(rng.random() < 0.5), ("gold", "silver")[rng.integers(2)]
        second = int(rng.integers(1000))
        label = "spät" if (size or 0) > 5 or (paid and lat > 52) else "pünktlich"
        known = None if n % 11 == 6 else label
        rows.append(Row(f"e-{n}", [lat, size, float(paid), *one_hot(tier, ("gold", "silver")), second], known))
        found: dict[str, Any] = {
            "event id": f"e-{n}",
            "at": (_BEGAN + timedelta(seconds=n)).isoformat(),
            "geo": {"lat": lat, "größe (kB)": size, "flags": {"paid?": paid}},
            "user.tier": tier,
            "2nd": str(second),
            "note": f"line {n}\nof {ROWS}",
            "Ergebnis": known,
        }
        if size is None:
            del found["geo"]["größe (kB)"]
        if known is None:
            del found["Ergebnis"]
        written.append(json.dumps(found, ensure_ascii=n % 2 == 0))
    names = ("geo_lat", "geo_groesse_kB", "geo_flags_paid", *_named("user_tier", ("gold", "silver")), "_2nd")
    content = ("\n\n".join(written) + "\n").encode()
    return TableCase("lines", "lines.jsonl", "Ergebnis", names, tuple(rows), content)


def parquet() -> TableCase:
    """Parquet with nulls in every kind of column, float32, and times in milliseconds without a zone."""
    arrow = import_module("pyarrow")
    rng = np.random.default_rng(10)
    sizes = [None if n % 9 == 1 else float(np.float32(rng.normal(3, 1))) for n in range(ROWS)]
    counts = [None if n % 8 == 5 else int(rng.integers(50)) for n in range(ROWS)]
    flags = [None if n % 14 == 3 else bool(rng.random() < 0.5) for n in range(ROWS)]
    kinds = [None if n % 16 == 9 else ("a", "b, c")[rng.integers(2)] for n in range(ROWS)]
    truths = [None if n % 10 == 8 else int((counts[n] or 0) > 25) + int(bool(flags[n])) for n in range(ROWS)]
    times = [_BEGAN.replace(tzinfo=None) + timedelta(milliseconds=1500 * n) for n in range(ROWS)]
    columns = {
        "row": [f"r{n}" for n in range(ROWS)],
        "Zeit": arrow.array(times, arrow.timestamp("ms")),
        "Größe": arrow.array(sizes, arrow.float32()),
        "count": arrow.array(counts, arrow.int32()),
        "on": arrow.array(flags, arrow.bool_()),
        "kind": arrow.array(kinds).dictionary_encode(),
        "nothing": arrow.nulls(ROWS),
        "y": arrow.array(truths, arrow.int8()),
    }
    out = io.BytesIO()
    import_module("pyarrow.parquet").write_table(arrow.table(columns), out, row_group_size=70)
    rows = [
        Row(
            f"r{n}",
            [
                sizes[n],
                counts[n],
                None if flags[n] is None else float(bool(flags[n])),
                *one_hot(kinds[n], ("a", "b, c")),
            ],
            None if truths[n] is None else str(truths[n]),
        )
        for n in range(ROWS)
    ]
    names = ("Groesse", "count", "on", *_named("kind", ("a", "b, c")))
    return TableCase("parquet", "parquet.parquet", "y", names, tuple(rows), out.getvalue())


CASES: Final[tuple[Callable[[], TableCase], ...]] = (
    transactions,
    sensors,
    tickets,
    bare,
    wide,
    messy,
    german,
    excel,
    lines,
    parquet,
)


def write(case: TableCase, folder: Path) -> Path:
    """The table as a file."""
    path = folder / case.file
    path.write_bytes(case.content)
    return path
