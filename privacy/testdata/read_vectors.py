#!/usr/bin/env python3
"""Reads vectors.json with nothing of Confide's or Tink's: Python's own library and the package cryptography.

Written from FORMAT.md. It opens every key and cell, checks that a cell opens nowhere else, and computes every
index. It fails if a file holds nothing to read.

    python3 read_vectors.py [vectors.json]
"""
import hashlib, hmac, json, os, struct, sys, unicodedata

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def encode(*parts):
    """The encoding of several strings, version 1."""
    out = b"\x01"
    for p in parts:
        p = p.encode() if isinstance(p, str) else p
        out += struct.pack(">I", len(p)) + p
    return out


def protobuf(b):
    """Yields the fields of a protocol buffer message: number, value."""
    i = 0

    def varint():
        nonlocal i
        n = shift = 0
        while True:
            c = b[i]
            i += 1
            n |= (c & 0x7F) << shift
            shift += 7
            if c < 0x80:
                return n

    while i < len(b):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
        elif tag & 7 == 2:
            n = varint()
            i += n
            yield tag >> 3, b[i - n:i]
        else:
            raise ValueError("unexpected wire type")


def keys_of(keyset):
    """The raw keys of a Tink keyset: key id -> bytes, the primary's id."""
    keys, primary = {}, None
    for number, value in protobuf(keyset):
        if number == 1:
            primary = value
        elif number == 2:
            key = dict(protobuf(value))
            data = dict(protobuf(key[1]))
            keys[key[3]] = dict(protobuf(data[2]))[3]
    return keys, primary


def decrypt(keys, box, aad):
    """A Tink ciphertext: 0x01, key id, nonce, AES-256-GCM ciphertext and tag."""
    if box[0] != 1:
        raise ValueError("no Tink prefix")
    key = keys[struct.unpack(">I", box[1:5])[0]]
    return AESGCM(key).decrypt(box[5:17], box[17:], aad)


def normal(norm, region, text):
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip()
    if norm == "exact":
        return "exact/1", text
    if norm in ("text", "email"):
        return norm + "/1", folded
    if norm == "phone":
        digits = "".join(c for c in unicodedata.normalize("NFKC", text) if c.isdigit())
        code = {"CN": "86"}.get(region, "")
        plus = text.lstrip().startswith("+")
        return "phone/1", digits if plus else code + digits
    raise ValueError("normaliser " + norm)


def read(generation):
    kek, _ = keys_of(bytes.fromhex(generation["kek"]))
    opened = {}
    for k in sorted(generation["keys"], key=lambda k: (k["Tenant"], k["Subject"] != "", k["Purpose"] != "data")):
        aad = encode("confide.key", k["Tenant"], k["Subject"], k["Purpose"], str(k["Version"]))
        wrapped = dict(protobuf(bytes.fromhex(k["Wrapped"])))[2]
        by = kek if not k["Subject"] and k["Purpose"] == "data" else opened[k["Tenant"], "", "data"][0]
        opened[k["Tenant"], k["Subject"], k["Purpose"]] = keys_of(decrypt(by, wrapped, aad))
    for c in generation["cells"]:
        box = bytes.fromhex(c["Cell"])
        assert box[:2] == b"\xc0\xde" and box[2] in (1, 2), "no cell of version 1 or 2"
        use, other = ("confide.cell", "confide.cell.padded")[::1 if box[2] == 1 else -1]
        keys, _ = opened[c["Tenant"], c["Subject"], "data"]
        place = [c["Tenant"], c["Field"], c["Row"], c["Subject"]]
        inside = decrypt(keys, box[3:], encode(use, *place))
        if box[2] == 2:
            assert len(inside) % c["Pad"] == 0, "not padded to whole blocks"
            inside = inside.rstrip(b"\0")
            assert inside[-1:] == b"\x80", "no padding"
            inside = inside[:-1]
        assert inside.decode() == c["Value"], "another value"
        for i in range(5):
            moved = list(place)
            if i < 4:
                moved[i] += "x"
            try:
                decrypt(keys, box[3:], encode(use if i < 4 else other, *moved))
            except InvalidTag:
                continue
            raise AssertionError("a cell opens in another place")
    for x in generation["indexes"]:
        keys, primary = opened[x["Tenant"], "", "index"]
        name, form = normal(x["Norm"], x["Region"], x["Value"])
        mac = hmac.new(keys[primary], encode("confide.index", x["Tenant"], x["Field"], name, form), hashlib.sha256)
        assert "c1" + mac.digest()[:16].hex() == x["Index"], "another index of " + x["Field"] + " " + x["Norm"]
    return len(opened), len(generation["cells"]), len(generation["indexes"])


def main():
    file = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors.json")
    with open(file, encoding="utf-8") as f:
        generations = json.load(f)
    counts = [read(g) for g in generations]
    if not counts or not all(all(c) for c in counts):
        sys.exit("nothing to read in " + file)
    print("%d generations: %d keys, %d cells, %d indexes read" % (len(counts), *map(sum, zip(*counts))))


if __name__ == "__main__":
    main()
