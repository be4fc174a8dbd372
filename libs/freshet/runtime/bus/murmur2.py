"""Kafka's key hash: every client in every language finds the same partition for a key.

MurmurHash 2, 32 bit, with the seed of Java's `org.apache.kafka.common.utils.Utils.murmur2`.
"""

import struct
from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF


def partition_for(key: bytes, partitions: int) -> int:
    """The partition where Java's default partitioner, and librdkafka's `murmur2_random`, put this key."""
    return (murmur2(key) & _POSITIVE) % partitions


def murmur2(data: bytes) -> int:
    """The hash, unsigned: 0 ≤ hash < 2³². Java shows the same bits as a signed int."""
    hashed = _SEED ^ len(data)
    words, tail = divmod(len(data), 4)
    for word in struct.unpack_from(f"<{words}I", data):
        mixed = word * _M & _WORD
        mixed = (mixed ^ mixed >> 24) * _M & _WORD
        hashed = (hashed * _M & _WORD) ^ mixed
    if tail:
        hashed = (hashed ^ int.from_bytes(data[-tail:], "little")) * _M & _WORD
    hashed = (hashed ^ hashed >> 13) * _M & _WORD
    return hashed ^ hashed >> 15
