#!/usr/bin/env python3
"""What deflate makes of the frames of a link, and what it costs: the ground for how `links.compression` is built.

    bench/compression.py

Bytes on the wire by the number of events in a flush: each run deflated by itself, as COMPRESSED has it ("alone"), and with the history
of the whole link ("stream"); then the speed of the levels on a run of 64 KiB. The library is the one that nodes use.
"""
import json, random, time, zlib
from pathlib import Path

random.seed(1)
words = (Path(__file__).resolve().parent.parent / "README.md").read_text().split()


def event(number):
    text = " ".join(random.choices(words, k=random.randrange(3, 20)))
    status = random.choice(["placed", "paid", "shipped"])
    return json.dumps({"id": number, "customer": f"c-{random.randrange(5000)}", "status": status, "total": random.random() * 1000,
                       "at": 1764000000 + number, "note": text}).encode()


def token(number):
    return b"\x05\x00\x00" + random.choice(words).encode() + b" "


def data(number, payload):
    head = bytes([0, 0, len(payload) >> 8, len(payload) & 255, 0x21, 0, 2, 1, 9]) + number.to_bytes(8, "big") + b"\x01"
    return head + payload


def deflater(level):
    return zlib.compressobj(level, zlib.DEFLATED, -15, 8)


def alone(runs, level):
    def size(run):
        stream = deflater(level)
        return len(stream.compress(run) + stream.flush()) + 9
    return sum(min(len(run), size(run)) for run in runs)


def streamed(runs, level):
    stream = deflater(level)
    return sum(len(stream.compress(run) + stream.flush(zlib.Z_SYNC_FLUSH)) + 5 for run in runs)


def fastest(work, times=20):
    best = min(measured(work, times) for _ in range(5))
    return best / times


def measured(work, times):
    start = time.process_time()
    for _ in range(times):
        work()
    return time.process_time() - start


for name, make in (("events of 230 bytes", event), ("tokens of 10 bytes", token)):
    frames = [data(number, make(number)) for number in range(4096)]
    total = sum(map(len, frames))
    for batch in (1, 4, 16, 64, 256):
        runs = [b"".join(frames[start:start + batch]) for start in range(0, len(frames), batch)]
        print(f"{name}, {batch:3} a flush: alone {alone(runs, 1) / total:.2f}, stream {streamed(runs, 1) / total:.2f}")

run = b"".join(data(number, event(number)) for number in range(400))[:64 << 10]
for level in (1, 2, 3, 4, 6):
    def work():
        stream = deflater(level)
        return stream.compress(run) + stream.flush()
    seconds = fastest(work)
    print(f"level {level}: {len(work()) / len(run):.3f} of 64 KiB in {seconds * 1e3:.2f} ms, {len(run) / seconds / 1e6:.0f} MB/s")
deflated = work()
print(f"inflate: {len(run) / fastest(lambda: zlib.decompress(deflated, -15)) / 1e6:.0f} MB/s")
