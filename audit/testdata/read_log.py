#!/usr/bin/env python3
"""An independent verifier of audit logs: exports, checkpoints, proofs.

Written from FORMAT.md and the C2SP documents alone; it shares no code with the
package. Without arguments it checks the frozen files beside it, and that a
changed byte anywhere is found. With arguments it verifies an export:

    read_log.py KEY EXPORT [CHECKPOINT]
"""
import base64, hashlib, json, pathlib, struct, sys, urllib.parse

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Broken(Exception):
    pass


def need(ok, what):
    if not ok:
        raise Broken(what)


def b64(text):
    raw = base64.b64decode(text, validate=True)
    need(base64.b64encode(raw).decode() == text, "base64 is not canonical")
    return raw


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# --- notes and checkpoints -------------------------------------------------

class Key:
    def __init__(self, vkey):
        self.name, keyid, encoded = vkey.split("+", 2)
        raw = b64(encoded)
        need(raw[0] == 1 and len(raw) == 33, "key type")
        self.id = sha(self.name.encode() + b"\n" + raw)[:4]
        need(self.id.hex() == keyid, "key id")
        self.public = Ed25519PublicKey.from_public_bytes(raw[1:])

    def checkpoint(self, note):
        """Returns origin, size and root of a note this key has signed."""
        text, found, sigs = note.decode().rpartition("\n\n")
        need(found and sigs.endswith("\n"), "note without signatures")
        text += "\n"
        signed = False
        for line in sigs[:-1].split("\n"):
            dash, name, sig = line.split(" ")
            need(dash == "\u2014", "signature line")
            raw = b64(sig)
            if name == self.name and raw[:4] == self.id:
                try:
                    self.public.verify(raw[4:], text.encode())
                except InvalidSignature:
                    raise Broken("signature")
                signed = True
        need(signed, "not signed by " + self.name)
        origin, size, root = text.split("\n")[:3]
        need(str(int(size)) == size and int(size) > 0, "size")
        root = b64(root)
        need(len(root) == 32, "root")
        return origin, int(size), root

    def log_of(self, origin):
        need(origin.startswith(self.name + "/"), "origin of another log")
        return urllib.parse.unquote(origin[len(self.name) + 1:])


# --- Merkle trees, RFC 6962 ------------------------------------------------

def leaf_hash(data):
    return sha(b"\0", data)


def node_hash(left, right):
    return sha(b"\1", left, right)


def inclusion(index, size, leaf, path):
    """The root that this path leads to (RFC 9162, 2.1.3.2)."""
    need(0 <= index < size, "index outside the tree")
    fn, sn, r = index, size - 1, leaf
    for p in path:
        need(sn > 0, "path too long")
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0, "path too short")
    return r


def consistency(old, new, old_root, path):
    """The newer root that this path leads to from the older (RFC 9162, 2.1.4.2)."""
    need(0 < old <= new, "sizes")
    if old == new:
        need(not path, "path too long")
        return old_root
    path = list(path)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    need(path, "path too short")
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for p in path[1:]:
        need(sn > 0, "path too long")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(p, fr), node_hash(p, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, p)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0 and fr == old_root, "the older root is no part of the newer tree")
    return sr


class Tree:
    def __init__(self):
        self.size, self.edge = 0, []

    def append(self, h):
        n = self.size
        while n & 1:
            h, n = node_hash(self.edge.pop(), h), n >> 1
        self.edge.append(h)
        self.size += 1

    def root(self):
        h = self.edge[-1]
        for left in reversed(self.edge[:-1]):
            h = node_hash(left, h)
        return h


# --- entries and exports ---------------------------------------------------

def entry(data):
    need(len(data) >= 42 and data[0] == 1, "entry")
    return data[1], struct.unpack(">q", data[2:10])[0], data[10:42], data[42:]


def texts(data, at, n):
    out = []
    for _ in range(n):
        size, = struct.unpack_from(">I", data, at)
        need(at + 4 + size <= len(data), "text")
        out.append(data[at + 4:at + 4 + size].decode())
        at += 4 + size
    return out


def tenant_of(event):
    need(event[0] in (1, 2), "event version")
    return texts(event, 25, 1)[0]


def frames(raw):
    """Yields (kind, ...) of an export of any version."""
    magic = b"confide-audit-export/3\n"
    if raw.startswith(magic):
        at, n, kind = len(magic), 0, b""
        while at < len(raw):
            need(kind != b"Z", "something behind the end")
            need(at + 5 <= len(raw), "cut off")
            kind, size = raw[at:at + 1], struct.unpack_from(">I", raw, at + 1)[0]
            body = raw[at + 5:at + 5 + size]
            need(len(body) == size, "cut off")
            at += 5 + size
            if kind == b"K":
                need(n == 0 and struct.unpack_from(">I", body)[0] == size - 4, "key frame")
                yield "K", texts(body, 0, 1)[0]
            elif kind == b"H":
                log, = texts(body, 0, 1)
                p = 4 + len(log.encode())
                length, p, parts = struct.unpack_from(">q", body, p)[0], p + 8, []
                for _ in range(3):
                    k, = struct.unpack_from(">I", body, p)
                    parts.append(body[p + 4:p + 4 + k])
                    p += 4 + k
                need(p == size, "head frame")
                yield "H", log, length, *parts
            elif kind in b"EB":
                yield kind.decode(), struct.unpack_from(">q", body)[0], body[8:]
            else:
                need(kind == b"Z" and struct.unpack(">q", body)[0] == n, "last frame")
            n += 1
        need(kind == b"Z", "cut off")
        return
    lines = [json.loads(l) for l in raw.decode().splitlines()]
    need(lines and lines[-1].get("end") == len(lines) - 1, "cut off")
    yield "K", lines[0]["key"]
    for l in lines[1:-1]:
        if "data" in l:
            yield "E", l.get("seq", 0), b64(l["data"])
        elif "hash" in l:
            yield "B", l.get("seq", 0), b64(l["hash"])
        else:
            yield "H", l["log"], l["size"], b64(l["tip"]), b64(l["edge"]), b64(l["note"])


def top_origin(key, epoch):
    return key.name + ("/;epoch=%d" % epoch if epoch else "")


def is_top(key, origin):
    return origin == key.name or origin.startswith(key.name + "/;epoch=")


def check_epoch(key, body, seq):
    """Returns the epoch before, whose checkpoint it abandons."""
    need(body[0] == 1, "epoch version")
    actor, reason = texts(body, 9, 2)
    at = 9 + 8 + len(actor.encode()) + len(reason.encode())
    common, = struct.unpack_from(">q", body, at)
    note, = texts(body, at + 8, 1)
    need(at + 12 + len(note.encode()) == len(body), "epoch length")
    origin, size, _ = key.checkpoint(note.encode())
    need(is_top(key, origin) and 0 <= common <= seq and size > common, "epoch")
    return int(origin.rpartition("=")[2]) if origin != key.name else 0


def verify_log(key, log, head, entries, points):
    """Checks one log against its head and the checkpoints known of it; returns
    the checkpoints its entries hold, as {log: [(size, root)]}."""
    size, tip, edge, note = head
    origin, signed, root = key.checkpoint(note)
    tree, prev, found, points, epochs = Tree(), sha(b"confide audit log v1\n", log.encode()), {}, dict(points), 0
    points[size] = root
    for i, (kind, seq, data) in enumerate(entries):
        need(seq == i, "place %d of %r" % (i, log))
        leaf = data
        if kind == "E":
            what, place, before, body = entry(data)
            need(place == i and before == prev and what in ((2, 3) if log == "" else (1,)), "entry %d of %r" % (i, log))
            leaf = leaf_hash(data)
            if what == 3:
                need(check_epoch(key, body, i) == epochs, "epoch %d" % i)
                epochs += 1
            elif log == "":
                o, n, r = key.checkpoint(body)
                of = found.setdefault(key.log_of(o), [])
                need(not of or of[-1][0] < n, "checkpoints of a log must grow")
                of.append((n, r))
            else:
                need(tenant_of(body) == log, "entry %d of %r is another log's" % (i, log))
        prev = leaf
        tree.append(leaf)
        if tree.size in points:
            need(points.pop(tree.size) == tree.root(), "root at %d of %r" % (tree.size, log))
    want = top_origin(key, epochs) if log == "" else key.name + "/" + urllib.parse.quote(log, safe="$&+:=@")
    need(origin == want and signed == size == len(entries), "head of %r" % log)
    need(not points, "checkpoints of %r that no entry reaches" % log)
    need(tip == prev and edge == b"".join(tree.edge), "tip or edge of %r" % log)
    return found


def verify_export(key, raw, anchored=None):
    """Returns the number of entries of all tenants' logs."""
    logs, order, name = {}, [], None
    for kind, *f in frames(raw):
        if kind == "K":
            name = f[0]
            need(name == key.name, "the export of another log")
        elif kind == "H":
            need(f[0] not in logs and order == sorted(order), "a log twice or out of order")
            logs[f[0]] = (f[1:], [])
            order.append(f[0])
        else:
            logs[order[-1]][1].append((kind, *f))
    need(name is not None and "" in logs, "no top log")
    points = {}
    if anchored is not None:
        origin, size, root = key.checkpoint(anchored)
        need(is_top(key, origin), "no checkpoint of the whole")
        points = {size: root}
    said = verify_log(key, "", *logs.pop(""), points)
    need(set(said) == set(logs), "logs that the top log does not know, or lost ones")
    count = 0
    for log, (head, entries) in logs.items():
        need(said[log][-1][0] == head[0], "the newest checkpoint of %r" % log)
        verify_log(key, log, head, entries, dict(said[log]))
        count += len(entries)
    return count


# --- proofs ----------------------------------------------------------------

def tlog_proof(text):
    head, found, note = text.partition(b"\n\n")
    lines = head.decode().split("\n")
    need(found and lines[0] == "c2sp.org/tlog-proof@v1", "tlog-proof")
    extra = b64(lines.pop(1)[6:]) if lines[1].startswith("extra ") else b""
    need(lines[1].startswith("index ") and str(int(lines[1][6:])) == lines[1][6:], "index")
    return extra, int(lines[1][6:]), [b64(l) for l in lines[2:]], note


def check_event(key, text):
    data, index, path, note = tlog_proof(text)
    origin, size, root = key.checkpoint(note)
    need(inclusion(index, size, leaf_hash(data), path) == root, "the event is not in the tree")
    kind, seq, _, body = entry(data)
    need(kind == 1 and seq == index and tenant_of(body) == key.log_of(origin), "not an event of this log")
    return note


def check_link(key, text, tenant_note):
    prev, index, path, note = tlog_proof(text)
    origin, size, root = key.checkpoint(note)
    need(is_top(key, origin) and len(prev) == 32, "link")
    data = b"\1\2" + struct.pack(">q", index) + prev + tenant_note
    need(inclusion(index, size, leaf_hash(data), path) == root, "the log is not in the top log")
    return note


def check_history(key, text):
    h = json.loads(text)
    need(h["format"] == "confide-audit-history/1" and h["events"], "history")
    notes = {check_event(key, e.encode()) for e in h["events"]}
    need(len(notes) == 1, "events of several checkpoints")
    return check_link(key, h["link"].encode(), notes.pop())


def check_consistency(key, text, older):
    head, found, note = text.partition(b"\n\n")
    lines = head.decode().split("\n")
    need(found and lines[0].startswith("old "), "consistency proof")
    o1, old, old_root = key.checkpoint(older)
    o2, new, new_root = key.checkpoint(note)
    need(o1 == o2 and lines[0] == "old %d" % old, "another checkpoint")
    need(consistency(old, new, old_root, [b64(l) for l in lines[1:]]) == new_root, "not consistent")
    return note


# --- the frozen files ------------------------------------------------------

def fails(what, f, *args):
    try:
        f(*args)
    except (Broken, ValueError, IndexError, KeyError, struct.error, TypeError):
        return
    raise SystemExit("%s: a changed file was believed" % what)


def main():
    here = pathlib.Path(__file__).parent
    golden = here / "golden"
    read = lambda name: (golden / name).read_bytes()
    key = Key(read("key").decode().strip())
    top = read("checkpoint")
    count = verify_export(key, read("export-3"), top)
    need(count == 23, "entries of the frozen export")
    need(check_link(key, read("link.tlog-proof"), check_event(key, read("event.tlog-proof"))) == top, "link")
    need(check_history(key, read("history.json")) == top, "history")
    need(check_consistency(key, read("consistency"), read("older.checkpoint")) == top, "consistency")

    changed = 0
    for name, check in (("export-3", lambda raw: verify_export(key, raw, top)), ("event.tlog-proof", lambda raw: check_event(key, raw)),
                        ("link.tlog-proof", lambda raw: check_link(key, raw, check_event(key, read("event.tlog-proof")))),
                        ("consistency", lambda raw: check_consistency(key, raw, read("older.checkpoint")))):
        raw = read(name)
        for i in range(0, len(raw), 1 + len(raw) // 400):
            fails("%s, byte %d" % (name, i), check, raw[:i] + bytes([raw[i] ^ 0x11]) + raw[i + 1:])
            changed += 1
    need(verify_export(Key(read("epoch.key").decode().strip()), read("export-3-epoch"), read("epoch.checkpoint")) == 24, "entries of the export with an epoch")
    fails("cut", verify_export, key, read("export-3")[:-13], top)

    exports = 0
    for path in sorted(here.glob("export-*.jsonl")):
        line, _, raw = path.read_bytes().partition(b"\n")
        verify_export(Key(line.decode()), raw)
        exports += 1
    trees = {}
    for v in json.loads((here / "vectors.json").read_text()):
        if "leaf" not in v:
            continue
        data = bytes.fromhex(v["data"])
        need(leaf_hash(data).hex() == v["leaf"], v["name"])
        if entry(data)[1] == 0:
            trees[v["log"]] = Tree()
        if v["log"] in trees and trees[v["log"]].size == entry(data)[1]:
            trees[v["log"]].append(bytes.fromhex(v["leaf"]))
            need(not v.get("root") or trees[v["log"]].root().hex() == v["root"], v["name"])
    print("audit: %d entries, %d older exports, proofs and vectors verified; %d changes found" % (count, exports, changed))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        try:
            k = Key(pathlib.Path(sys.argv[1]).read_text().strip())
            n = verify_export(k, pathlib.Path(sys.argv[2]).read_bytes(), pathlib.Path(sys.argv[3]).read_bytes() if len(sys.argv) > 3 else None)
            print("%s: %d events" % ("valid" if len(sys.argv) > 3 else "UNANCHORED", n))
        except Broken as e:
            print("BROKEN:", e)
            sys.exit(3)
    else:
        main()
