"""Signs a payload with three JOSE libraries, and forges it in the ways that attackers do.

usage: jws_tokens.py ED25519_JWK HS256_JWK PAYLOAD

Prints one line for each message: what it is, a tab, the message. "good:" must be accepted, "bad:" refused.
"""
import base64
import hashlib
import hmac
import json
import sys

import jwt
from joserfc import jws as joserfc_jws
from joserfc.jwk import OctKey, OKPKey
from jwcrypto import jwk, jws

ed_file, hs_file, payload_file = sys.argv[1:]
ed = json.load(open(ed_file))
hs = json.load(open(hs_file))
payload = open(payload_file, "rb").read()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def show(name, token):
    print(f"{name}\t{token}")


def good():
    for key, algorithm in ((ed, "EdDSA"), (hs, "HS256")):
        header = {"alg": algorithm, "kid": key["kid"]}
        token = jws.JWS(payload)
        token.add_signature(jwk.JWK(**key), None, json.dumps(header))
        show(f"good:jwcrypto {algorithm}", token.serialize(compact=True))
        imported = (OKPKey if algorithm == "EdDSA" else OctKey).import_key({k: v for k, v in key.items() if k != "alg"})
        show(f"good:joserfc {algorithm}", joserfc_jws.serialize_compact(header, payload, imported, algorithms=[algorithm]))
        signing = jwt.PyJWK(key).key
        show(f"good:pyjwt {algorithm}", jwt.PyJWS().encode(payload, signing, algorithm=algorithm, headers={"kid": key["kid"]}))


def hs256(header, secret, body=None):
    content = b64(header if isinstance(header, bytes) else json.dumps(header).encode()) + "." + (b64(payload) if body is None else body)
    return content + "." + b64(hmac.new(secret, content.encode(), hashlib.sha256).digest())


def bad():
    secret, public = unb64(hs["k"]), unb64(ed["x"])
    mine = {"alg": "HS256", "kid": hs["kid"]}
    none = b64(json.dumps({"alg": "none", "kid": ed["kid"]}).encode()) + "." + b64(payload) + "."
    show("bad:alg none", none)
    for spelling in ("None", "NONE", "nOnE"):
        show(f"bad:alg {spelling}", b64(json.dumps({"alg": spelling, "kid": hs["kid"]}).encode()) + "." + b64(payload) + ".")
    show("bad:HS256 with the public key as secret", hs256({"alg": "HS256", "kid": ed["kid"]}, public))
    show("bad:HS256 with the text of the public key as secret", hs256({"alg": "HS256", "kid": ed["kid"]}, ed["x"].encode()))
    show("bad:unknown kid", hs256({"alg": "HS256", "kid": "stranger"}, secret))
    show("bad:no kid", hs256({"alg": "HS256"}, secret))
    show("bad:kid of somebody else", hs256({"alg": "EdDSA", "kid": ed["kid"]}, secret))
    show("bad:kid is a number", hs256({"alg": "HS256", "kid": 1}, secret))
    show("bad:other secret", hs256(mine, b"x" * 32))
    show("bad:empty secret", hs256(mine, b""))
    show("bad:HS512", hs256({"alg": "HS512", "kid": hs["kid"]}, secret))
    for extra in ({"crit": ["b64"], "b64": False}, {"b64": False}, {"crit": []}, {"jwk": {"kty": "oct", "k": b64(secret)}},
                  {"jku": "https://attacker.example/keys"}, {"x5c": ["AA=="]}, {"x5u": "https://attacker.example/x"}, {"zip": "DEF"}):
        show(f"bad:header with {' and '.join(extra)}", hs256({**mine, **extra}, secret))
    own = jwk.JWK.generate(kty="OKP", crv="Ed25519")
    token = jws.JWS(payload)
    token.add_signature(own, None, json.dumps({"alg": "EdDSA", "kid": ed["kid"], "jwk": own.export_public(as_dict=True)}))
    show("bad:signed by the key that it brings", token.serialize(compact=True))
    show("bad:oversized header", hs256({**mine, "note": "x" * 2000}, secret))
    show("bad:alg twice", hs256(b'{"alg":"none","alg":"HS256","kid":"%s"}' % hs["kid"].encode(), secret))
    show("bad:header is no object", hs256(b'["HS256"]', secret))
    token = jws.JWS(payload)
    token.add_signature(jwk.JWK(**hs), None, json.dumps(mine))
    show("bad:JSON form", token.serialize(compact=False).replace("\n", ""))
    whole = hs256(mine, secret)
    head, body, code = whole.split(".")
    show("bad:detached", f"{head}..{code}")
    show("bad:two parts", f"{head}.{body}")
    show("bad:four parts", whole + ".")
    show("bad:five parts", f"{whole}.{body}.{code}")
    show("bad:padding", whole + "=")
    show("bad:white space", whole + " ")
    show("bad:line break", f"{head}.{body}.\\n{code}")
    show("bad:not the alphabet of URLs", whole.replace("-", "+").replace("_", "/") + "+")
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 32 bytes end with two bits that mean nothing.
    show("bad:bits behind the code", whole[:-1] + digits[digits.index(whole[-1]) + 1])
    show("bad:empty code", f"{head}.{body}.")
    show("bad:cut code", whole[:-3])
    other = b64(payload.replace(b"7.5", b"9.5"))
    show("bad:other value", f"{head}.{other}.{code}")


good()
bad()
