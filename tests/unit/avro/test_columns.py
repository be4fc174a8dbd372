"""Columns and frames: rows can be taken and joined without loss; whatever is not framed is seen to be so."""

import numpy as np
import pytest

from freshet.avro import Enum, Nullable, Objects, Ragged, Strings, concat, frame_header, frame_ids, take


def test_strings_of_every_length_survive_take_and_concat() -> None:
    """Rows of 0 to 300 bytes, taken in any order, twice over and joined, are the same texts."""
    texts = ["é" * (length // 2) + "x" * (length % 2) for length in [*range(70), 300, 0, 129]]
    column = Strings.from_list(texts)
    order = np.random.default_rng(1).integers(0, len(texts), 500)
    chosen = [texts[row] for row in order]
    assert column.tolist() == texts
    assert column.take(order).tolist() == chosen
    assert concat([column.take(order), Strings.repeat("żółw", 3), column]).tolist() == chosen + ["żółw"] * 3 + texts
    assert len(Strings.repeat("x", 0)) == 0


def test_rows_outside_the_data_are_refused() -> None:
    """A column that would read another row's bytes, or none of ours, cannot be made."""
    data = np.zeros(4, np.uint8)
    for start, length in ((-1, 2), (3, 2), (0, -1)):
        with pytest.raises(ValueError, match="outside the 4 bytes"):
            Strings(data, np.array([start]), np.array([length]))
    with pytest.raises(ValueError, match="add up to 3"):
        Ragged(np.zeros(3), np.array([1, 1]))
    with pytest.raises(ValueError, match=r"valid must be bool \(3,\)"):
        Nullable(np.zeros(3), np.array([True]))


def test_ragged_rows_survive_take_and_concat() -> None:
    """Lists of any length, empty ones too, keep their numbers; a matrix exists only if all are of its width."""
    ragged = Ragged(np.arange(6.0), np.array([2, 0, 3, 1]))
    taken = concat([ragged.take(np.array([2, 1, 0, 2])), ragged])
    assert taken.flat.tolist() == [2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5]
    assert taken.lengths.tolist() == [3, 0, 2, 3, 2, 0, 3, 1]
    assert ragged.take(np.array([2, 2])).matrix(3).tolist() == [[2, 3, 4], [2, 3, 4]]
    with pytest.raises(ValueError, match="row 1 holds 0 values, not 2"):
        ragged.matrix(2)
    assert Ragged.from_matrix(np.zeros((3, 0), np.float32)).matrix(0).shape == (3, 0)


def test_other_columns_survive_take_and_concat() -> None:
    """Enums, optional columns, objects and plain arrays, taken and joined, keep each row's value."""
    rows = np.array([1, 0])
    enum = concat([take(Enum(np.array([0, 1], np.int32), ("A", "B")), rows)] * 2)
    assert enum.tolist() == ["B", "A", "B", "A"]
    optional = concat([take(Nullable(np.array([5, 0]), np.array([True, False])), rows)] * 2)
    assert (optional.valid.tolist(), optional.values.tolist()) == ([False, True] * 2, [0, 5] * 2)  # type: ignore[union-attr]
    assert concat([take(Objects(["x", {}]), rows)] * 2).values == [{}, "x", {}, "x"]
    assert concat([take(np.array([1.5, 2.5]), rows)] * 2).tolist() == [2.5, 1.5, 2.5, 1.5]
    assert take(Objects(["x", "y"]), np.array([False, True])).values == ["y"]


def test_frames_are_read_and_anything_else_is_seen() -> None:
    """The id and length of each value; -1 for null, empty, short, and any first byte but 0."""
    framed, highest = frame_header(0x01020304) + b"x", frame_header((1 << 32) - 1)
    ids, lengths = frame_ids([framed, None, b"", b"\x00", b"\x00abc", b"\x01abcd", b'{"a": 1}', highest])
    assert ids.tolist() == [0x01020304, -1, -1, -1, -1, -1, -1, (1 << 32) - 1]
    assert lengths.tolist() == [6, -1, 0, 1, 4, 5, 8, 5]
    assert [part.size for part in frame_ids([])] == [0, 0]
    with pytest.raises(ValueError, match="does not fit the 4 bytes"):
        frame_header(1 << 32)


def test_rows_that_are_one_text_are_found_whatever_its_length() -> None:
    """Words of 1, 2, 4 and 8 bytes, the last of which overlaps; and rows that differ in one byte anywhere."""
    for length in range(20):
        text = bytes(range(65, 65 + length))
        others = [text[:at] + b"-" + text[at + 1 :] for at in range(length)]
        rows = Strings.from_list([text, *others, text + b"A", text])
        assert np.flatnonzero(rows.equal(text)).tolist() == [0, length + 2], length
