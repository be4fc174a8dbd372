"""The key hash agrees with Java's."""

import pytest

from freshet.runtime.bus.murmur2 import murmur2, partition_for

# published in Apache Kafka's own UtilsTest.testMurmur2
JAVA_VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "signed"), JAVA_VECTORS.items())
def test_the_hash_has_the_bits_that_java_publishes(key: bytes, signed: int) -> None:
    """Every vector of Kafka's test, read as unsigned, comes out exactly."""
    assert murmur2(key) == signed & 0xFFFFFFFF


def test_a_negative_hash_is_masked_not_negated() -> None:
    """Java's toPositive clears the sign bit: abs() would put most keys elsewhere."""
    assert partition_for(b"foobar", 1000) == (-790332482 & 0x7FFFFFFF) % 1000
    assert partition_for(b"foobar", 1000) != 790332482 % 1000
