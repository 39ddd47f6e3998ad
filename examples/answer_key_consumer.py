"""Reads the usages of a run, applies its answer key to what was read, and compares with the key's totals.

    python3 -m venv venv && venv/bin/pip install confluent-kafka
    venv/bin/python answer_key_consumer.py localhost:9092 key.ndjson

Put your own pipeline in the place of `usage`, and its sums in the place of `read`.
"""
import json
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

INTEGERS = ("prompt_tokens", "completion_tokens", "latency_ms", "gpu_index")
SUMS = ("prompt_tokens", "completion_tokens", "cost_micro_usd")
UNREADABLE = {"malformed", "missing-field", "null-field", "wrong-type", "renamed-field", "duplicate-key", "tombstone"}


def usage(message, prices):
    """Tokens and cost of a request; None if the value is no usage."""
    try:
        fields = json.loads(message.value().decode(), object_pairs_hook=list)
        value = dict(fields)
        if len(value) < len(fields) or any(type(value[name]) is not int for name in INTEGERS):
            return None
        if type(value["ts"]) is not str or type(value["model"]) is not str:
            return None
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    cost = (prices[message.key().decode()] * value["latency_ms"] + 1_800_000) // 3_600_000
    return {**value, "cost_micro_usd": cost}


bootstrap, path = sys.argv[1:]
with open(path, encoding="utf-8") as lines:
    key = [json.loads(line) for line in lines]
run, topic = key[0]["run_id"], key[0]["settings"]["TOPIC_TOKEN"]
prices = {line["key"]: line["price_micro_usd_per_hour"] for line in key if line["type"] == "gpu"}
consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "key", "enable.partition.eof": True})
partitions = set(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
read = dict.fromkeys(SUMS, 0)
while partitions:
    message = consumer.poll()
    if message.error() and message.error().code() == KafkaError._PARTITION_EOF:
        partitions.discard(message.partition())
    elif message.error():
        raise KafkaException(message.error())
    elif dict(message.headers() or []).get("run") == run.encode() and (found := usage(message, prices)):
        read = {name: read[name] + found[name] for name in SUMS}
once, true = dict(read), dict(read)
for line in (line for line in key if line["type"] == "record" and line["topic"] == topic and "usage" in line):
    was_read = line["sent"] and not UNREADABLE & set(line["faults"])
    for name in SUMS:
        once[name] -= line["usage"][name] * (line["copy"] and was_read)
        true[name] += line["usage"][name] * ((not line["copy"] and not was_read) - (line["copy"] and was_read))
totals = {line["name"]: {name: line[name] for name in SUMS} for line in key if line["type"] == "total"}
for name, found in (("readable", read), ("deduplicated", once), ("planned", true)):
    print(name, *found.values(), "as in the key" if found == totals[name] else f"is not {totals[name]}")
sys.exit(key[-1]["type"] != "end" or [read, once, true] != [totals[n] for n in ("readable", "deduplicated", "planned")])
