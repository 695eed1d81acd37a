#!/usr/bin/env python3
"""Writes signed.jsonl: webhooks signed by Twilio's official Python library, an oracle for our verification.

    python3 -m venv venv && venv/bin/pip install twilio==9.13.0
    venv/bin/python generate.py          # writes signed.jsonl beside this file
    venv/bin/python generate.py --check  # fails if the file is not what this script writes

The file beside it was written with twilio 9.13.0. The library is used for this alone; it is no dependency.
Everything is random from one seed; hosts, numbers, SIDs and keys are made up.

The first line holds the library's version, the auth tokens (newest first) and the shared keys. Every other line is
one request:

    m method   o public URL (origin and path prefix)   t raw target   c content type   b body   g signature
    s signature settings, where a shared key signed   k place of the key that signed
    x one byte to change, so that the library refuses it: [part, offset, new byte]
"""

import json
import random
import sys
from pathlib import Path
from urllib.parse import parse_qsl, quote, quote_plus

import twilio
from twilio.request_validator import RequestValidator, get_signature_algorithm

FILE = Path(__file__).with_name("signed.jsonl")
COUNT = 2000
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
rng = random.Random(20261120)


def hexes(length):
    return "".join(rng.choice("0123456789abcdef") for _ in range(length))


TOKENS = [hexes(32), hexes(32)]
SHARED = [["webhooks_sharedkey_" + hexes(8), algorithm, secret] for algorithm, secret in [
    ("HMAC_SHA256", hexes(64)),
    ("HMAC_SHA1", "a secret longer than one block of the hash, which HMAC therefore hashes first: " + hexes(64)),
]]


class Pairs(list):
    """Parameters in the shape the library takes them in, repeated names included."""

    def __iter__(self):
        return (name for name, _ in super().__iter__())

    def getall(self, wanted):
        return [value for name, value in super().__iter__() if name == wanted]


def sample(long_ones):
    """One text: what people write, and what trips encoders."""
    kind = rng.randrange(12)
    if kind == 0:
        return ""
    if kind == 1:
        return rng.choice(["R&D", "a=b", "50% + more", "100%", "it's", "%41", "a+b", "&&==", "?#/", '"<>\\', "%", "+"])
    if kind == 2:
        return "".join(rng.choice("🔥👍🏽👩‍👩‍👧🇩🇪❤️ab") for _ in range(rng.randint(1, 12)))
    if kind == 3:
        return "".join(rng.choice("שלום مرحبا") for _ in range(rng.randint(1, 20)))
    if kind == 4:
        return "".join(rng.choice("漢字かなカナ한글 üßéñ") for _ in range(rng.randint(1, 20)))
    if kind == 5:
        # Any code point there is, but for surrogates.
        points = (rng.choice([rng.randrange(0x80), rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)]) for _ in range(9))
        return "".join(map(chr, points))
    if kind == 6:
        return rng.choice(["\n", "line\r\nbreak", " spaces ", "\ttab", " ", "\u00a0"])
    if kind == 7 and long_ones and rng.random() < 0.15:
        return "".join(rng.choice("long text ü") for _ in range(1600))
    if kind == 8 and long_ones and rng.random() < 0.05:
        return "🔥" * 400
    return " ".join(rng.choice(["my", "heater", "is", "broken", "please", "call", "me", "No.", "42"]) for _ in range(rng.randint(1, 9)))


def parameters():
    """A text's or a status's parameters, some left out, some unknown, some repeated, in any order."""
    pairs = [("MessageSid", "SM" + hexes(32)), ("AccountSid", "AC" + hexes(32)), ("Body", sample(True))]
    pairs += [("From", f"+1206555{rng.randrange(10000):04}"), ("To", f"+1206555{rng.randrange(10000):04}")]
    usual = [("FromCity", rng.choice(["", "SEATTLE", "SÃO PAULO"])), ("FromState", "WA"), ("FromZip", ""), ("NumMedia", "0"),
             ("ApiVersion", "2010-04-01"), ("MessageStatus", "delivered"), ("ErrorCode", ""), ("SmsStatus", "received")]
    pairs += rng.sample(usual, rng.randrange(len(usual)))
    for _ in range(rng.choice([0, 0, 1, 3])):
        pairs.append((rng.choice(["New", "new", "Ä", "a[b]", "x.y", "Body", "🔥", ""]) + rng.choice(["", "1", "10", "2"]), sample(False)))
    if rng.random() < 0.2:
        name = rng.choice(["MessagingBinding.Address", "To", "Tag"])
        pairs += [(name, rng.choice(["b", "a", "10", "9", ""])) for _ in range(rng.randint(2, 4))]
    rng.shuffle(pairs)
    return pairs


def encode(pairs):
    """Form encoding in one of the ways it is done."""
    way = rng.randrange(6)

    def one(text):
        if way == 0:
            return quote(text, safe="")
        if way == 1:
            return quote_plus(text, safe="*-._~!'()")
        if way == 2:
            return "".join(c.lower() if quoted else c for c, quoted in lower_hex(quote_plus(text)))
        if way == 3:
            # Only what must be escaped, the rest as raw UTF-8.
            return "".join(quote(c, safe="") if c in "%&+=#\r\n\0" or ord(c) < 0x21 else c for c in text)
        return quote_plus(text)

    return "&".join(one(name) + ("=" if value or rng.random() < 0.9 else "") + one(value) for name, value in pairs)


def lower_hex(text):
    """Each character, and whether it is a digit of an escape."""
    escape = 0
    for c in text:
        yield c, escape > 0
        escape = 2 if c == "%" else max(0, escape - 1)


def public_url():
    host = rng.choice(["desk.example", "Desk-1.Example", "hooks.desk.example", "192.0.2.7"])
    scheme, port = rng.choice([("https", ""), ("https", ":443"), ("https", ":8443"), ("http", ""), ("http", ":80"), ("http", ":8080")])
    return f"{scheme}://{host}{port}" + rng.choice(["", "", "", "/sms", "/a/b"]), port


def written(origin, port, target):
    """The URL as Twilio signs it: the port as configured, left out, or by default."""
    scheme, rest = origin.split("://")
    authority, slash, prefix = rest.partition("/")
    host = authority.removesuffix(port) if port else authority
    default = ":443" if scheme == "https" else ":80"
    port = rng.choice([port, "" if port else default])
    return f"{scheme}://{host}{port}{slash}{prefix}{target}"


def refuses(validator, request, algorithm):
    """Whether the library refuses a request, or nobody could read it."""
    url = request["o"] + request["t"]
    try:
        body = request["b"].decode()
        form = Pairs(parse_qsl(body, keep_blank_values=True, errors="strict")) if request["c"] == FORM else body
    except UnicodeDecodeError:
        return True
    content = {} if request["m"] == "GET" else form
    # Both spellings of an apostrophe in a GET's query are one request to us.
    urls = {url, url.replace("'", "%27"), url.replace("%27", "'")} if request["m"] == "GET" else {url}
    try:
        return not any(validator.validate(url, content, request["g"], algorithm) for url in urls)
    except TypeError:
        return True  # What the library makes of JSON without bodySHA256.


def one_byte(validator, request, algorithm):
    """A change of one byte that the library refuses: not every one changes the meaning (%2f is %2F)."""
    while True:
        part = rng.choice([part for part in "btg" if len(request[part]) > 1])
        raw = request[part] if part == "b" else request[part].encode()
        # A target begins with its slash in any request a server reads.
        offset = rng.randrange(1 if part == "t" else 0, len(raw))
        byte = rng.randrange(256) if part == "b" else rng.choice([b for b in range(0x21, 0x7F) if b != ord("#")])
        changed = raw[:offset] + bytes([byte]) + raw[offset + 1:]
        if changed == raw:
            continue
        if refuses(validator, request | {part: changed if part == "b" else changed.decode()}, algorithm):
            return [part, offset, byte]


def request():
    kind = rng.choices(["form", "get", "json"], [70, 18, 12])[0]
    pairs = parameters()
    (origin, port), target = public_url(), rng.choice(["/inbound/main", "/inbound/l-2/status/" + hexes(32) + ".1", "/"])
    configured = rng.choice(["", "", "", "foo=1&bar=2", "q=a%20b+c", "empty=&x", "it's", "u=%C3%BC"])
    r = {"m": "POST", "o": origin, "t": target, "c": FORM, "b": b""}
    if kind == "form":
        r["t"] += "?" + configured if configured else ""
        r["b"] = encode(pairs).encode()
        content = Pairs(pairs)
    elif kind == "get":
        r |= {"m": "GET", "c": "", "t": target + "?" + "&".join(filter(None, [configured, encode(pairs)]))}
        # A request line is ASCII.
        r["t"] = quote(r["t"], safe="%/?&=+*-._~!'()")
        content = {}
    else:
        r["c"] = rng.choice([JSON, JSON + "; charset=utf-8"])
        body = dumps(dict(pairs), escaped=rng.random() < 0.5)
        r["b"] = body.encode()
        digest = RequestValidator("").compute_hash(body)
        r["t"] += "?" + "&".join(filter(None, [configured, f"bodySHA256={digest}"]))
        content = body
    return sign(r, port, content)


def sign(r, port, content):
    url = written(r["o"], port, r["t"])
    if r["m"] == "GET" and rng.random() < 0.5:
        # The other spelling is what arrives.
        r["t"] = r["t"].replace("'", "%27") if "'" in r["t"] else r["t"].replace("%27", "'")
    if rng.random() < 0.15:
        r["k"] = rng.randrange(len(SHARED))
        name, algorithm, secret = SHARED[r["k"]]
        r["s"] = f"key={name},algorithm={algorithm}"
    else:
        r["k"] = rng.randrange(len(TOKENS))
        secret = TOKENS[r["k"]]
    algorithm = get_signature_algorithm(r.get("s"))
    validator = RequestValidator(secret)
    r["g"] = validator.compute_signature(url, {} if isinstance(content, str) else content, algorithm)
    assert validator.validate(url, content, r["g"], algorithm), r
    assert not refuses(validator, r, algorithm), r
    r["x"] = one_byte(validator, r, algorithm)
    r["b"] = r["b"].decode()
    return {key: value for key, value in r.items() if value != ""}


def dumps(value, escaped=False):
    return json.dumps(value, ensure_ascii=escaped, separators=(",", ":"))


def main():
    lines = [dumps({"library": "twilio " + twilio.__version__, "tokens": TOKENS, "shared": SHARED})]
    lines += [dumps(request()) for _ in range(COUNT)]
    text = "\n".join(lines) + "\n"
    if "--check" in sys.argv:
        sys.exit(0 if FILE.read_text(encoding="utf-8") == text else "signed.jsonl is not what this script writes")
    FILE.write_text(text, encoding="utf-8", newline="\n")


main()
