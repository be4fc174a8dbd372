import hashlib
import sys

canonical = sys.stdin.buffer.read()  # what fastavro.schema.to_parsing_canonical_form(schema) gives, in UTF-8
print(int.from_bytes(hashlib.sha256(canonical).digest()[:4], "big") >> 2 | 1 << 30)  # noqa: T201
