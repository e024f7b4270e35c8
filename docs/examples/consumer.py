#!/usr/bin/python3
"""Stores what Headgate publishes in SQLite, each reading exactly once, and proves what is missing.

    consumer.py consume DB --broker mqtt://127.0.0.1:1883    until it is ended; may be killed at any moment
    consumer.py report DB                                    exit code 1 when something is missing

Python 3.9, SQLite 3.37, paho-mqtt 1.6 or 2.x (Debian 12: apt install python3-paho-mqtt). See docs/consuming.md."""
import argparse
import json
import logging
import os
import pathlib
import sqlite3
from urllib.parse import urlsplit

SESSION = 7 * 86400  # seconds for which the broker keeps our subscription, and what it queues for us, while we are away
TOPICS = ("headgate/v1/+/r/#", "headgate/v1/+/gap/#", "headgate/v1/+/status")
log = logging.getLogger("consumer")

# span: the seq that are here, as merged intervals with the times at their ends; part: parts of a seq that is not
# complete; gateway.first: the first live seq; next: of the newest status; settled: the broker was given all below.
TABLES = """
reading (gateway TEXT, epoch INTEGER, point TEXT, n INTEGER, time TEXT NOT NULL, value ANY, unit TEXT,
  quality TEXT NOT NULL, reasons TEXT, def TEXT, seq INTEGER NOT NULL, PRIMARY KEY (gateway, epoch, point, n), CHECK (
  time GLOB '????-??-??T*Z' AND quality IN ('good', 'uncertain', 'bad') AND (quality <> 'bad' OR value IS NULL)));
gap (gateway TEXT, epoch INTEGER, seq INTEGER, device TEXT, point TEXT, from_seq INTEGER, to_seq INTEGER, since TEXT
  NOT NULL, until TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (gateway, epoch, seq));
span (gateway TEXT, low INTEGER CHECK (low > 0), high INTEGER, since TEXT, until TEXT, PRIMARY KEY (gateway, low));
part (gateway TEXT, seq INTEGER, parts INTEGER, part INTEGER, PRIMARY KEY (gateway, seq, parts, part));
gateway (gateway TEXT PRIMARY KEY, first INTEGER, duplicates INTEGER DEFAULT 0, conflicts INTEGER DEFAULT 0,
  volatile INTEGER DEFAULT 0, epoch INTEGER, time TEXT DEFAULT '', next INTEGER, settled INTEGER DEFAULT 0);
junk (topic TEXT PRIMARY KEY, count INTEGER, why TEXT)"""
# What a payload outside the contract raises. A disk that refuses (sqlite3.OperationalError) is not among these.
JUNK = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError, sqlite3.IntegrityError,
        sqlite3.ProgrammingError, sqlite3.InterfaceError)


def store(db, message, publisher):
    """Stores one message inside the caller's transaction."""
    schema, gateway, epoch = message["schema"], message["gateway"], message["epoch"]
    db.execute("INSERT INTO gateway (gateway) VALUES (?) ON CONFLICT DO NOTHING", (gateway,))
    if schema == "status/1":
        return store_status(db, gateway, epoch, message.get("time"), message["buffer"], publisher)
    seq, part, parts = message["seq"], message.get("part", 1), message.get("parts", 1)
    duplicates = conflicts = volatile = 0
    if schema == "reading/1" and 1 <= part <= parts:
        rows = [(gateway, epoch, r["point"], r["n"], r["time"], r["value"], r.get("unit"), r["quality"],
                 " ".join(r.get("reasons", [])), r["def"], seq) for r in message["readings"]]
        since, until, volatile = rows[0][4], rows[-1][4], len(rows) if message.get("volatile") else 0
        duplicates = len(rows) - db.executemany(  # OR IGNORE would also ignore what the CHECKs refuse
            "INSERT INTO reading VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (gateway, epoch, point, n) DO NOTHING",
            rows).rowcount
        if duplicates:  # a redelivery has the same content; the same key with another is two gateways with one name
            conflicts = sum(db.execute("SELECT NOT (time = ?5 AND value IS ?6) FROM reading WHERE gateway = ?1 AND"
                                       " epoch = ?2 AND point = ?3 AND n = ?4", row[:6]).fetchone()[0] for row in rows)
    elif schema == "gap/1":
        since, until, fields = message["from"], message["to"], ("device", "point", "from_seq", "to_seq")
        db.execute("INSERT INTO gap VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (gateway, epoch, seq) DO NOTHING", (
            gateway, epoch, seq, *map(message.get, fields), since, until, message["reason"], message["count"]))
    else:
        raise ValueError(f"{schema!r}, part {part} of {parts}")
    db.execute("UPDATE gateway SET first = ifnull(first, ?), duplicates = duplicates + ?, conflicts = conflicts + ?,"
               " volatile = volatile + ? WHERE gateway = ?",
               (None if message.get("replay") else seq, duplicates - conflicts, conflicts, volatile, gateway))
    near = db.execute("SELECT low, high, since, until FROM span WHERE gateway = ? AND low <= ? AND high >= ?",
                      (gateway, seq + 1, seq - 1)).fetchall()
    if any(low <= seq <= high for low, high, *_ in near):
        return
    db.execute("INSERT INTO part VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", (gateway, seq, parts, part))
    here = db.execute("SELECT count(*) FROM part WHERE (gateway, seq, parts) = (?, ?, ?)", (gateway, seq, parts))
    if here.fetchone()[0] == parts:  # seq and its neighbours become one span
        spans = sorted([*near, (seq, seq, since, until)])
        db.execute("DELETE FROM part WHERE gateway = ? AND seq = ?", (gateway, seq))
        db.execute("DELETE FROM span WHERE gateway = ? AND low BETWEEN ? AND ?", (gateway, spans[0][0], spans[-1][0]))
        db.execute("INSERT INTO span VALUES (?, ?, ?, ?, ?)",
                   (gateway, spans[0][0], spans[-1][1], spans[0][2], spans[-1][3]))


def store_status(db, gateway, epoch, time, buffer, publisher):
    """When nothing is pending, all that the status before this one knew of is delivered. Not what this one knows: rows
    may have been committed between its two figures."""
    if time and "next_seq" in buffer:  # the will has neither
        known = [buffer["publishers"][publisher]] if publisher else list(buffer["publishers"].values())
        drained = bool(known) and all(figures["pending"] == 0 for figures in known)
        db.execute("UPDATE gateway SET settled = iif(? AND epoch = ?, max(settled, next), settled), epoch = ?,"
                   " time = ?, next = ? WHERE gateway = ? AND time < ?",
                   (drained, epoch, epoch, time, buffer["next_seq"], gateway, time))


def consume(args):
    import paho.mqtt.client as mqtt
    from paho.mqtt.properties import PacketTypes, Properties
    db = sqlite3.connect(args.db)
    db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")  # a commit survives a power cut
    for table in TABLES.split(";\n"):
        db.execute(f"CREATE TABLE IF NOT EXISTS {table.strip()} STRICT, WITHOUT ROWID")

    def on_connect(client, _, flags, reason, __):
        resumed = flags["session present"] if isinstance(flags, dict) else flags.session_present
        log.info("connected: %s, %s", reason, "session resumed" if resumed else "new session, nothing was queued")
        client.subscribe([(topic, 1) for topic in TOPICS])  # QoS 1 for the status too: it must not overtake rows

    def on_message(_, __, message):
        # paho 1.6 and 2.x send the PUBACK of a QoS 1 message in this thread, after this function has returned, and not
        # at all when it raises (Client._handle_publish; manual_ack and suppress_exceptions are off). So the commit is
        # first. Killed between the two, we get the message again and the primary key ignores it. An error that is not
        # the payload's, a full disk, ends the program: the broker keeps the message for the next start.
        try:
            with db:  # commits, or rolls everything back
                store(db, json.loads(message.payload, parse_constant={}.__getitem__), args.publisher)  # no NaN
        except JUNK as error:
            log.warning("skipped %s: %.200r: %r", message.topic, error, bytes(message.payload[:80]))
            with db:
                db.execute("INSERT INTO junk VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET count = count + 1,"
                           " why = excluded.why", (message.topic, repr(error)[:200]))

    about = {"client_id": args.client_id, "protocol": mqtt.MQTTv5}
    versions = getattr(mqtt, "CallbackAPIVersion", None)  # 2.x asks for it, 1.6 does not know it
    client = mqtt.Client(versions.VERSION2, **about) if versions else mqtt.Client(**about)
    client.on_connect, client.on_message = on_connect, on_message
    client.on_subscribe = lambda *details: log.info("subscribed: %s", ", ".join(map(str, details[3])))
    client.on_disconnect = lambda *details: log.warning("disconnected: %s", details[-2])
    broker, session = urlsplit(args.broker), Properties(PacketTypes.CONNECT)
    session.SessionExpiryInterval = SESSION
    if broker.scheme == "mqtts":
        client.tls_set(args.ca)
    if broker.username:
        client.username_pw_set(broker.username, os.environ.get("MQTT_PASSWORD"))
    port = broker.port or (8883 if broker.scheme == "mqtts" else 1883)
    client.connect_async(broker.hostname, port, clean_start=False, properties=session)
    client.loop_forever(retry_first_connection=True)


def holes(spans, low, high):
    """What of low to high is in none of the spans."""
    for first, last, *_ in sorted(spans):
        if low < first and low <= high:
            yield low, min(first - 1, high)
        low = max(low, last + 1)
    if low <= high:
        yield low, high


def report(args):
    db, lost = sqlite3.connect(pathlib.Path(args.db).resolve().as_uri() + "?mode=ro", uri=True), False
    for name, first, duplicates, conflicts, volatile, *_, settled in db.execute("SELECT * FROM gateway"):
        spans = db.execute("SELECT low, high, since, until FROM span WHERE gateway = ?", (name,)).fetchall()
        gaps = db.execute("SELECT from_seq, to_seq, since, until, reason, ifnull(device, 'all devices'), count FROM gap"
                          " WHERE gateway = ? ORDER BY device, since", (name,)).fetchall()
        known = spans + [gap for gap in gaps if gap[0]]
        newest = max([settled - 1] + [span[1] for span in spans])
        judged = newest if args.final else settled - 1
        first = args.first or first or newest + 1  # before the first live row nothing was promised to us
        missing = list(holes(known, first, judged))
        here = db.execute("SELECT count(*) FROM reading WHERE gateway = ?", (name,)).fetchone()[0]
        print(f"gateway {name}: {here} readings, {duplicates} duplicates ignored, volatile: {volatile}, conflicts:"
              f" {conflicts}")
        print(f"  seq {first} to {newest}, judged to {max(judged, 0) or 'nothing yet'}, holes:"
              f" {len(list(holes(spans, first, newest)))}")
        starts, ends = {span[0]: span[2] for span in known}, {span[1]: span[3] for span in known}
        for low, high in missing:
            print(f"  UNEXPLAINED {low}..{high}: {ends.get(low - 1, '?')} to {starts.get(high + 1, '?')}")
        for low, high in holes(known, max(first, judged + 1), newest):
            print(f"  open {low}..{high}: not judged before the gateway's backlog is drained")
        for row in db.execute("SELECT seq, count(*), parts FROM part WHERE gateway = ? GROUP BY seq, parts", (name,)):
            print("  incomplete {}: {} of {} parts".format(*row))
        for low, high, since, until, reason, device, count in gaps:
            for piece in holes(spans, max(low, first), min(high, newest)) if low else ():
                print(f"  explained {piece[0]}..{piece[1]}: {reason}, {since} to {until}")
            if not low:
                print(f"  loss {device}: {reason}, {since} to {until}, count {count or 'unknown'}")
        lost = lost or bool(missing or conflicts)
    for topic, count, why in db.execute("SELECT * FROM junk"):
        print(f"junk {topic}: {count} messages skipped, the last: {why}")
    return 1 if lost else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("consume", help="store what arrives")
    command.set_defaults(run=consume)
    command.add_argument("db")
    command.add_argument("--broker", required=True, help="mqtt[s]://[USER@]HOST[:PORT]; password in MQTT_PASSWORD")
    command.add_argument("--ca", help="certificate authority for mqtts; the system's without it")
    command.add_argument("--client-id", default="headgate-consumer", help="one for each database")
    command.add_argument("--publisher", help="the gateway's publisher for this broker; all of them without it")
    command = commands.add_parser("report", help="say what is here and what is missing")
    command.set_defaults(run=report)
    command.add_argument("db")
    command.add_argument("--first", type=int, help="judge from this seq on, not from the first live one")
    command.add_argument("--final", action="store_true", help="judge open holes too")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    args = parser.parse_args()
    return args.run(args)


if __name__ == "__main__":
    raise SystemExit(main())
