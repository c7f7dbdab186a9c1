"""Reads vectors.json beside it after FORMAT.md, with nothing of this module: an independent reader.

It prints one line a file, "<object id> <bytes> <SHA-256>", and fails on anything that is not as written there.
"""

import base64
import hashlib
import json
import pathlib
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def fields(b):
    """Yields (number, value) of a protocol buffer's fields: varints and byte strings."""
    i = 0

    def varint():
        nonlocal i
        n = shift = 0
        while True:
            c = b[i]
            i += 1
            n |= (c & 127) << shift
            shift += 7
            if c < 128:
                return n

    while i < len(b):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
        else:
            assert tag & 7 == 2
            n = varint()
            yield tag >> 3, b[i : i + n]
            i += n


def tink_key(keyset):
    """Returns key id and AES key of a keyset of one key."""
    outer = dict(fields(keyset))
    entry = dict(fields(outer[2]))
    data = dict(fields(entry[1]))
    assert data[1] == b"type.googleapis.com/google.crypto.tink.AesGcmKey"
    assert outer[1] == entry[3]
    return entry[3], dict(fields(data[2]))[3]


def encode(*parts):
    out = b"\x01"
    for p in parts:
        p = p.encode()
        out += struct.pack(">I", len(p)) + p
    return out


def read(ref, obj):
    assert ref["v"] == 1
    key_id, key = tink_key(base64.b64decode(ref["key"]))
    size, segment, name = ref["size"], ref["segment"], ref["id"]
    header = b"\xc0\xdf\x01" + struct.pack(">I", segment) + bytes.fromhex(name)
    assert obj[:23] == header
    count = max(1, -(-size // segment))
    out, at = b"", 23
    for n in range(count):
        plain = min(segment, size - n * segment)
        box = obj[at : at + plain + 33]
        at += len(box)
        assert box[:5] == b"\x01" + struct.pack(">I", key_id)
        last = str(size) if n == count - 1 else ""
        out += AESGCM(key).decrypt(box[5:17], box[17:], encode("confide.attach", name, str(segment), str(n), last))
    assert at == len(obj) and len(out) == size
    assert hashlib.sha256(out).digest() == base64.b64decode(ref["sha256"])
    return out


for v in json.loads(pathlib.Path(__file__).with_name("vectors.json").read_text()):
    content = read(v["ref"], bytes.fromhex(v["object"]))
    assert content == bytes(i % 251 for i in range(v["count"]))
    print(v["ref"]["id"], len(content), hashlib.sha256(content).hexdigest())
