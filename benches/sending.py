#!/usr/bin/env python3
"""What a record costs until it is acknowledged, beside other clients: `make bench`.

usage: sending.py TARGET_DIR [--broker HOST:PORT] [--pairs N] [--rounds N]

TARGET_DIR has the release build of the program and of the example mock_cluster. Without --broker the
clients send to that mock cluster, in a process of its own; a real one needs the topics gpu.metrics.v1
and token.usage.v1. Each round runs every client once, in turns, so that what else the machine does
meets all of them. The table has medians, the spread of the processor time, and ratios to kcat with the
same three headers. On two processors the cluster has one and the clients have the other.

All send the same number of records, with acks=all and idempotence: this program makes them, kcat reads
the same events from a file, rdkafka_performance (built from the vendored librdkafka) sends one payload
of their size again and again. Needs Python 3.11, kcat and a C compiler; nothing from PyPI.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HEADERS = ["run=20260101T000000.000Z-1", "seq=1234567", "content-type=application/json"]
COMMON = ["acks=all", "enable.idempotence=true", "linger.ms=5", "queue.buffering.max.messages=20000"]


def measured(command, cpu, **variables):
    """Processor seconds, wall seconds and peak memory (MiB) of a command, on one processor."""
    environment = {**os.environ, "VM4_PRODUCER_ENV": "/dev/null", "RUST_LOG": "error", **variables}
    pinned = ["taskset", "--cpu-list", str(cpu), *command]
    started = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(pinned, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            sys.exit(f"{command[0]} failed: {errors.read().decode()[-2000:]}")
    wall = time.monotonic() - started
    return used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024


def performance_tool(target):
    """rdkafka_performance of the librdkafka that the program is built with."""
    built = max(target.glob("release/build/rdkafka-sys-*/out/build/src/librdkafka.a"), key=os.path.getmtime)
    generated = built.parents[1] / "generated"
    (generated / "x").mkdir(exist_ok=True)
    registry = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo")) / "registry/src"
    source = next(registry.glob("*/rdkafka-sys-*/librdkafka"))
    others = [next(target.glob(f"release/build/*/out/**/lib{name}.a"), None) for name in ("curl", "zstd")]
    tool = target / "release/rdkafka_performance"
    subprocess.run(
        ["cc", "-O2", "-w", f"-I{generated}/x", f"-I{source}/src", f"{source}/examples/rdkafka_performance.c",
         "-o", tool, built, *filter(None, others), *"-lz -lssl -lcrypto -lpthread -lm -ldl -lrt".split()],
        check=True,
    )
    return tool


def clients(target, broker, pairs, events):
    """Each client by name: its command and its variables."""
    program = target / "release/vm4-producer"
    run = {"KAFKA_BOOTSTRAP": broker, "BATCH": str(pairs), "SLEEP_SEC": "0", "RUN_SEED": "1"}
    properties = [part for each in COMMON for part in ("-X", each)]
    headers = [part for each in HEADERS for part in ("-H", each)]
    kcat = ["kcat", "-P", "-b", broker, "-t", "gpu.metrics.v1", *properties, "-l", str(events)]
    size = os.path.getsize(events) // (2 * pairs)
    tool = [performance_tool(target), "-P", "-b", broker, "-t", "gpu.metrics.v1", "-s", str(size)]
    tool += ["-c", str(2 * pairs), "-q", "-a", "-1", *properties]
    return {
        "vm4-producer": ([program], run),
        "vm4-producer, uniform": ([program], {**run, "WORKLOAD": "uniform"}),
        "kcat, 3 headers": ([*kcat[:-2], *headers, *kcat[-2:]], {}),
        "rdkafka_performance, 3 headers": ([*tool, *headers], {}),
        "vm4-producer, no headers": ([program], {**run, "RECORD_HEADERS": "off"}),
        "kcat, no headers": (kcat, {}),
        "rdkafka_performance, no headers": (tool, {}),
        "vm4-producer generate": ([program, "generate", "--values"], run),
    }


def table(results, records):
    base = statistics.median(cpu for cpu, _, _ in results["kcat, 3 headers"])
    print("| client | CPU µs a record (spread) | to kcat | records/s | peak RSS, MiB |")
    print("|---|---|---|---|---|")
    for name, rounds in results.items():
        cpu = sorted(cpu for cpu, _, _ in rounds)
        wall, rss = (statistics.median(of) for of in list(zip(*rounds))[1:])
        median = statistics.median(cpu)
        micros = [1e6 * each / records for each in (median, cpu[0], cpu[-1])]
        print(f"| {name} | {micros[0]:.2f} ({micros[1]:.2f} to {micros[2]:.2f}) | {median / base:.2f} "
              f"| {records / wall:,.0f} | {rss:.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=pathlib.Path)
    parser.add_argument("--broker")
    parser.add_argument("--pairs", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for tool in ("kcat", "taskset", "cc"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing")
    last = os.cpu_count() - 1
    mock, broker = None, options.broker
    if not broker:
        command = ["taskset", "--cpu-list", "0", options.target / "release/examples/mock_cluster"]
        mock = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        broker = mock.stdout.readline().strip()
    try:
        with tempfile.TemporaryDirectory() as directory:
            events = pathlib.Path(directory) / "events.ndjson"
            with open(events, "wb") as out:
                program = options.target / "release/vm4-producer"
                variables = {**os.environ, "BATCH": str(options.pairs), "SLEEP_SEC": "0", "RUN_SEED": "1",
                             "VM4_PRODUCER_ENV": "/dev/null", "RUST_LOG": "error"}
                subprocess.run([program, "generate", "--values"], stdout=out, env=variables, check=True)
            results = {}
            for _ in range(options.rounds):
                for name, (command, variables) in clients(options.target, broker, options.pairs, events).items():
                    results.setdefault(name, []).append(measured(command, last, **variables))
    finally:
        if mock:
            mock.stdin.close()
            mock.wait()
    where = options.broker or "a mock cluster"
    print(f"{2 * options.pairs:,} records to {where}, medians of {options.rounds} rounds\n")
    table(results, 2 * options.pairs)


if __name__ == "__main__":
    main()
