"""Writes sealing.json: records that another implementation of the ciphers has sealed.

Run: python3 sealing.py > sealing.json (needs the package `cryptography`, 42 or newer)
"""

import base64
import json
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def fields(*parts):
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def vector(name, term, tenant, principal, generation, contents, seed):
    ring_key = bytes((seed * 7 + i * 13) % 256 for i in range(32))
    record_id = bytes((seed + i) % 256 for i in range(16))
    secret = bytes((seed * 3 + i * 5) % 256 for i in range(16))
    nonce = bytes((seed * 11 + i) % 256 for i in range(12))
    info = fields(secret, principal.encode(), tenant.encode())
    key = HKDF(SHA256(), 32, salt=record_id, info=info).derive(ring_key)
    term_bytes = struct.pack(">I", term)
    data = fields(
        b"\x01", term_bytes, tenant.encode(), principal.encode(), record_id, struct.pack(">Q", generation)
    )
    sealed = AESGCMSIV(key).encrypt(nonce, contents, data)
    return {
        "name": name,
        "key_ring": {
            "version": 1,
            "current": term,
            "keys": [{"term": term, "key": base64.b64encode(ring_key).decode()}],
        },
        "handle": f"vk1.{record_id.hex()}.{secret.hex()}",
        "tenant": tenant,
        "principal": principal,
        "generation": generation,
        "contents": contents.hex(),
        "frame": (b"\x01" + term_bytes + nonce + sealed).hex(),
    }


VECTORS = [
    vector("usual", 1, "acme", "alice@example.com", 1, b'{"version":1}', 1),
    vector("no tenant, no contents", 7, "", "bob", 2, b"", 2),
    vector("other letters, large numbers", 2**32 - 1, "größe", "Élodie", 2**53, bytes(range(256)) * 5, 3),
]
print(json.dumps(VECTORS, indent=1, ensure_ascii=False))
