"""Verifies an export of the audit log without any code of Headgate: hashes by pymerkle, signatures by cryptography.

usage: verify_audit.py EXPORT PUBLIC_KEY

PUBLIC_KEY is NAME+HASH+BASE64 as printed by `headgate audit verify`. Exit code 0 when everything holds, 1 when not.
"""
import base64
import hashlib
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pymerkle import InmemoryTree, verify_consistency


def fail(text):
    print(f"NOT SOUND: {text}")
    sys.exit(1)


def opened(note, vkey):
    """The text of a signed note, once its signature holds (https://c2sp.org/signed-note)."""
    name, key_hash, key = vkey.split("+", 2)
    key = base64.b64decode(key, validate=True)
    if hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex() != key_hash or key[0] != 1:
        fail("the key has the wrong hash")
    text, signatures = note.rsplit("\n\n", 1)
    for line in signatures.splitlines():
        dash, signer, signature = line.split(" ")
        signature = base64.b64decode(signature, validate=True)
        if dash == "—" and signer == name and signature[:4].hex() == key_hash:
            try:
                Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], (text + "\n").encode())
            except InvalidSignature:
                fail("a signature does not hold")
            return text
    fail("a checkpoint is signed by somebody else")


def inclusion_root(leaf, index, size, proof):
    """RFC 9162, section 2.1.3.2."""
    fn, sn, r = index, size - 1, hashlib.sha256(b"\0" + leaf).digest()
    for p in proof:
        if sn == 0:
            fail("a proof is too long")
        if fn & 1 or fn == sn:
            r = hashlib.sha256(b"\1" + p + r).digest()
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = hashlib.sha256(b"\1" + r + p).digest()
        fn, sn = fn >> 1, sn >> 1
    if sn:
        fail("a proof is too short")
    return r


def main(export, vkey):
    lines = [json.loads(line) for line in open(export, encoding="utf-8")]
    head, rest = lines[0], lines[1:]
    tree = InmemoryTree(algorithm="sha256")
    leaves, checkpoints = [], []
    for line in rest:
        if "note" in line:
            origin, size, root = opened(line["note"], vkey).split("\n")[:3]
            checkpoints.append((int(size), base64.b64decode(root, validate=True)))
        else:
            content = line["text"].encode() if "text" in line else base64.b64decode(line["base64"], validate=True)
            leaves.append((line["leaf"], content, line.get("proof")))
    if [leaf[0] for leaf in leaves] != list(range(head["from"], head["to"])):
        fail("an entry is missing or out of place")
    if not checkpoints:
        fail("there is no checkpoint")
    if head["from"] == 0 and head["to"] == head["size"]:
        for _, content, _ in leaves:
            tree.append_entry(content)
        for size, root in checkpoints:
            if size > len(leaves) or tree.get_state(size) != root:
                fail(f"the first {size} entries are not those that were signed")
        for (size, root), (newer, newer_root) in zip(checkpoints, checkpoints[1:]):
            if size:
                verify_consistency(root, newer_root, tree.prove_consistency(size, newer))
    else:
        size, root = checkpoints[-1]
        for index, content, proof in leaves:
            if proof is None or inclusion_root(content, index, size, [base64.b64decode(p) for p in proof]) != root:
                fail(f"entry {index} is not proven")
    print(f"sound: {len(leaves)} entries, {len(checkpoints)} checkpoints, root {checkpoints[-1][1].hex()}")


main(*sys.argv[1:])
