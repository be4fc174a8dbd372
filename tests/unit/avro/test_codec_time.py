"""What decoding and encoding take is told to whoever brings a clock, and to nobody else."""

import itertools

import numpy as np
import pytest

from freshet.avro.codec_time import codec_timed, timed
from freshet.avro.decode import Decoder
from freshet.avro.encode import Encoder

SCHEMA = """{"type": "record", "name": "R", "fields": [{"name": "a", "type": "double"}]}"""


def test_reading_and_writing_of_records_is_timed() -> None:
    """Two looks at the clock for each call, however many records it has; nothing before and after."""
    looks = itertools.count()
    encoder, decoder = Encoder(SCHEMA, 1), Decoder(SCHEMA)
    values = encoder.encode({"a": np.zeros(500)})
    with codec_timed(lambda: float(next(looks))) as time:
        decoder.decode(values)
        decoder.decode(values)
        encoder.encode({"a": np.zeros(500)})
    decoder.decode(values)
    assert (time.decode_s, time.encode_s) == (2.0, 1.0)
    assert next(looks) == 6


def test_a_codec_that_calls_another_is_counted_once_and_one_that_fails_too() -> None:
    """The outer one's time holds the inner one's."""
    looks = itertools.count()

    @timed("encode")
    def inner() -> None:
        raise ValueError("no")

    @timed("decode")
    def outer() -> None:
        inner()

    with codec_timed(lambda: float(next(looks))) as time:
        with pytest.raises(ValueError, match="no"):
            outer()
        with pytest.raises(ValueError, match="no"):
            inner()
    assert (time.decode_s, time.encode_s) == (1.0, 1.0)
