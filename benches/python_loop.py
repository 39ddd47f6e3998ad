#!/usr/bin/env python3
"""What the program replaces: a plain loop over confluent-kafka, for benches/sending.py.

usage: python_loop.py BROKER PAIRS SEED_FILE

Each pair is a reading of the next GPU and a random usage, written with json.dumps. It has neither
headers nor keys of its own making, and no account of what became of a record beside a count.
"""

import datetime
import itertools
import json
import random
import sys

from confluent_kafka import Producer


def main():
    broker, pairs, seed_file = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with open(seed_file, encoding="utf-8") as file:
        rows = json.load(file)
    failed = 0

    def on_delivery(error, _):
        nonlocal failed
        failed += error is not None

    producer = Producer({"bootstrap.servers": broker, "acks": "all", "enable.idempotence": True, "linger.ms": 2})

    def send(topic, key, event):
        while True:
            try:
                return producer.produce(topic, json.dumps(event), key=key, on_delivery=on_delivery)
            except BufferError:
                producer.poll(0.1)

    for row in itertools.islice(itertools.cycle(rows), pairs):
        ts = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        key = f"vm4/{row['gpu_index']}"
        send("gpu.metrics.v1", key, {**row, "ts": ts, "host": "vm4"})
        usage = {"ts": ts, "model": "llama-3-70b", "prompt_tokens": random.randint(256, 2048),
                 "completion_tokens": random.randint(64, 512), "latency_ms": random.randint(100, 800),
                 "gpu_index": row["gpu_index"]}
        send("token.usage.v1", key, usage)
        producer.poll(0)
    producer.flush()
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
