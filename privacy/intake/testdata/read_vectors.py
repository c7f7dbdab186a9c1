"""Opens the boxes of vectors.json beside it after FORMAT.md and RFC 9180, with nothing of this module.

It first proves itself on the RFC's own test vector (A.1.1), then opens every box and seals one of its own, prints one
line a box, "<maker> <key id> <bytes of the body>", and fails on anything that is not as written there. With --make it
prints a new vector of the maker "python".
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import struct
import sys

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

KEM = b"KEM" + struct.pack(">H", 0x0020)  # DHKEM(X25519, HKDF-SHA256)


def extract(suite, salt, label, ikm):
    return hmac.new(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, hashlib.sha256).digest()


def expand(suite, prk, label, info, length):
    info = struct.pack(">H", length) + b"HPKE-v1" + suite + label + info
    out, block, n = b"", b"", 0
    while len(out) < length:
        n += 1
        block = hmac.new(prk, block + info + bytes([n]), hashlib.sha256).digest()
        out += block
    return out[:length]


def raw(public):
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def shared_secret(dh, enc, recipient):
    prk = extract(KEM, b"", b"eae_prk", dh)
    return expand(KEM, prk, b"shared_secret", enc + recipient, 32)


def schedule(secret, info, key_length):
    """Key and base nonce of base mode with HKDF-SHA256 and AES-GCM of that key length."""
    aead = {16: 1, 32: 2}[key_length]
    suite = b"HPKE" + struct.pack(">HHH", 0x0020, 0x0001, aead)
    context = b"\x00" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", info)
    prk = extract(suite, secret, b"secret", b"")
    return expand(suite, prk, b"key", context, key_length), expand(suite, prk, b"base_nonce", context, 12)


def seal(public, info, body):
    ephemeral = X25519PrivateKey.generate()
    enc = raw(ephemeral.public_key())
    dh = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    key, nonce = schedule(shared_secret(dh, enc, public), info, 32)
    return enc + AESGCM(key).encrypt(nonce, body, b"")


def unseal(private, info, message, key_length=32, aad=b""):
    private = X25519PrivateKey.from_private_bytes(private)
    enc = message[:32]
    dh = private.exchange(X25519PublicKey.from_public_bytes(enc))
    key, nonce = schedule(shared_secret(dh, enc, raw(private.public_key())), info, key_length)
    return AESGCM(key).decrypt(nonce, message[32:], aad)


def encode(*parts):
    out = b"\x01"
    for p in parts:
        p = p.encode()
        out += struct.pack(">I", len(p)) + p
    return out


def place(v):
    return encode("confide.intake", "1", v["key_id"], v["form"], v["tenant"], v["submission"])


def public_of(line):
    prefix, key_id, key, check = line.split(":")
    assert prefix == "confide-intake-v1"
    assert check == hashlib.sha256(f"{prefix}:{key_id}:{key}".encode()).hexdigest()[:8]
    return key_id, base64.b64decode(key, validate=True)


def make_box(line, v, body):
    key_id, public = public_of(line)
    return b"\xc0\xdb\x01" + b"\x01" + bytes.fromhex(key_id) + seal(public, place(v), body)


def rfc_9180_a_1_1():
    message = bytes.fromhex(
        "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"
        "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a"
    )
    private = bytes.fromhex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8")
    got = unseal(private, b"Ode on a Grecian Urn", message, 16, b"Count-0")
    assert got == b"Beauty is truth, truth beauty"


def main():
    rfc_9180_a_1_1()
    if sys.argv[1:] == ["--make"]:
        private = X25519PrivateKey.generate()
        key_id, key = os.urandom(4).hex(), base64.b64encode(raw(private.public_key())).decode()
        head = f"confide-intake-v1:{key_id}:{key}"
        v = {"maker": "python", "key_id": key_id, "private": private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()).hex()}
        v["public"] = head + ":" + hashlib.sha256(head.encode()).hexdigest()[:8]
        v |= {"form": "contact", "tenant": "main", "submission": "from-python"}
        body = "王小明, 13800138000".encode()
        v["body"], v["box"] = body.hex(), make_box(v["public"], v, body).hex()
        print(json.dumps(v, ensure_ascii=False, indent=2))
        return
    for v in json.loads(pathlib.Path(__file__).with_name("vectors.json").read_text()):
        body, private = bytes.fromhex(v["body"]), bytes.fromhex(v["private"])
        key_id, public = public_of(v["public"])
        assert public == raw(X25519PrivateKey.from_private_bytes(private).public_key())
        for box in (bytes.fromhex(v["box"]), make_box(v["public"], v, body)):
            assert box[:8] == b"\xc0\xdb\x01\x01" + bytes.fromhex(key_id) and key_id == v["key_id"]
            assert unseal(private, place(v), box[8:]) == body
        print(v["maker"], key_id, len(body))


main()
