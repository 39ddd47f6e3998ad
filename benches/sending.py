#!/usr/bin/env python3
"""What a record costs until it is acknowledged, beside other clients: `make bench`.

usage: sending.py TARGET_DIR [--kafka JARS | --broker HOST:PORT] [--python PYTHON] [--pairs N] [--rounds N]
                  [--only PART ...] [--svg FILE]

TARGET_DIR has the release build of the program and of the example mock_cluster. The clients send to that
mock cluster, to an Apache Kafka that is started from JARS, or to a broker that has both topics, with six
partitions each. Each round runs every client once, in turns, so that what else the machine does meets all
of them; a table has medians, spreads and ratios. On two processors the cluster has one, the client the other.

Parts: read (a run is read back; not from the mock cluster, which keeps too little), throughput (cost of a
record at full speed), start (20 pairs, start to exit), pace (1,000 and 10,000 pairs a second), scale (10^3 to
10^7 records). A run counts only if the ends of the partitions say that all its records are there.

All use acks=all and idempotence, and where they are made with librdkafka a linger of 2 ms and a queue of
20,000 records. This program makes its events; kcat reads the same events from a file; rdkafka_performance
(built from the vendored librdkafka) sends one payload of their size; kafka-producer-perf-test sends lines
of the file; the Python loop makes what the original script made. The last two send no headers.
Needs Python 3.11, kcat and a C compiler; PYTHON is one that has confluent-kafka.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import broker as clusters

HEADERS = ["run=20260101T000000.000Z-1", "seq=1234567", "content-type=application/json"]
COMMON = ["acks=all", "enable.idempotence=true", "linger.ms=2", "queue.buffering.max.messages=20000"]
BASE = "kcat, 3 headers"
SCALES = [10**n for n in range(3, 8)]


def measured(command, cpu, **variables):
    """Processor seconds, wall seconds and peak memory (MiB) of a command, on one processor."""
    environment = {**os.environ, "VM4_PRODUCER_ENV": "/dev/null", "RUST_LOG": "error", **variables}
    pinned = ["taskset", "--cpu-list", str(cpu), *map(str, command)]
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


class Bench:
    """What the parts have in common."""

    def __init__(self, options, address, directory):
        self.options, self.address = options, address
        self.program = options.target / "release/vm4-producer"
        self.cpu = os.cpu_count() - 1
        self.directory = pathlib.Path(directory)
        self.events = self.lines("events", options.pairs)

    def lines(self, name, pairs):
        """A file with the events of so many pairs."""
        path = self.directory / name
        with open(path, "wb") as out:
            variables = {**os.environ, **self.run(pairs), "VM4_PRODUCER_ENV": "/dev/null", "RUST_LOG": "error"}
            subprocess.run([self.program, "generate", "--values"], stdout=out, env=variables, check=True)
        return path

    def run(self, pairs, **variables):
        """The settings of a run of this program."""
        fixed = {"KAFKA_BOOTSTRAP": self.address, "SLEEP_SEC": "0", "RUN_SEED": "1"}
        return {**fixed, "BATCH": str(pairs), **variables}

    def kcat(self, events, headers):
        properties = [part for each in COMMON for part in ("-X", each)]
        headers = [part for each in headers for part in ("-H", each)]
        return ["kcat", "-P", "-b", self.address, "-t", "gpu.metrics.v1", *properties, *headers, "-l", events]

    def clients(self):
        """Each client at full speed, by name: its command, its variables, and how many records it sends."""
        pairs, address = self.options.pairs, self.address
        all_of_it = 2 * pairs
        tool = [performance_tool(self.options.target), "-P", "-b", address, "-t", "gpu.metrics.v1", "-q", "-a", "-1"]
        tool += ["-s", str(os.path.getsize(self.events) // all_of_it), "-c", str(all_of_it)]
        tool += [part for each in COMMON for part in ("-X", each)]
        headers = [part for each in HEADERS for part in ("-H", each)]
        workloads = {name: {"WORKLOAD": name} for name in ("chat", "uniform", "agent")}
        chosen = {
            **{f"vm4-producer, {name}": ([self.program], self.run(pairs, **each), all_of_it)
               for name, each in workloads.items()},
            BASE: (self.kcat(self.events, HEADERS), {}, all_of_it),
            "rdkafka_performance, 3 headers": ([*tool, *headers], {}, all_of_it),
            "vm4-producer, no headers": ([self.program], self.run(pairs, RECORD_HEADERS="off"), all_of_it),
            "kcat, no headers": (self.kcat(self.events, []), {}, all_of_it),
            "rdkafka_performance, no headers": (tool, {}, all_of_it),
        }
        if self.options.kafka:
            few = self.lines("few", 5_000)
            java = ["java", "-Xmx256M", "-cp", f"{self.options.kafka}/*", "org.apache.kafka.tools.ProducerPerformance"]
            java += ["--bootstrap-server", address, "--topic", "gpu.metrics.v1", "--num-records", str(all_of_it)]
            java += ["--throughput", "-1", "--payload-file", few]
            chosen["kafka-producer-perf-test"] = (java, {}, all_of_it)
        if self.options.python:
            here = pathlib.Path(__file__).parent
            loop = [self.options.python, here / "python_loop.py", address, str(pairs // 5), here.parent / "gpu_seed.json"]
            chosen["Python loop"] = (loop, {}, pairs // 5 * 2)
        chosen["vm4-producer generate"] = ([self.program, "generate"], self.run(pairs), all_of_it)
        return chosen

    def counted(self, command, variables, records):
        """The measures of a run, all of whose records are there afterwards."""
        sends = "generate" not in command
        before = clusters.records(self.address) if sends else 0
        measures = measured(command, self.cpu, **variables)
        if sends and (came := clusters.records(self.address) - before) != records:
            sys.exit(f"{command[0]}: {came} of {records} records came")
        return measures

    def rounds(self, chosen):
        """The measures of each client in each round."""
        results = {name: [] for name in chosen}
        for _ in range(self.options.rounds):
            for name, client in chosen.items():
                results[name].append(self.counted(*client))
        return results

    def read(self):
        """What it costs to read a run back: it must be the first in its topics."""
        report = self.directory / "sent"
        records = 2 * self.options.pairs
        self.counted([self.program], self.run(self.options.pairs, REPORT_FILE=str(report)), records)
        verify = [self.program, "verify", "--kafka-bootstrap", self.address, "--report", report]

        def kcat(shown):
            """Both topics, one after the other, with a queue that is never full: its librdkafka would rest."""
            queue = "-X queued.min.messages=10000000 -X queued.max.messages.kbytes=1048576"
            read = f"kcat -C -e -q -b {self.address} {queue} -f '{shown}\\n' -t"
            return ["sh", "-ec", "; ".join(f"{read} {topic}" for topic in clusters.TOPICS)]

        chosen = {
            "kcat, values": (kcat("%s"), {}, 0),
            "kcat, values, keys and headers": (kcat("%T %k %h %s"), {}, 0),
            "vm4-producer verify": (verify, {}, 0),
        }
        results = self.rounds(chosen)
        base = statistics.median(wall for _, wall, _ in results["kcat, values"])
        print("| reading | CPU µs a record (spread) | records/s | to kcat | peak RSS, MiB |")
        print("|---|---|---|---|---|")
        for name, rounds in results.items():
            cpu = sorted(1e6 * cpu / records for cpu, _, _ in rounds)
            wall, rss = (statistics.median(of) for of in list(zip(*rounds))[1:])
            print(f"| {name} | {statistics.median(cpu):.2f} ({cpu[0]:.2f} to {cpu[-1]:.2f}) | {records / wall:,.0f} "
                  f"| {base / wall:.2f} | {rss:.0f} |")

    def throughput(self):
        chosen = self.clients()
        rows = {}
        for name, rounds in self.rounds(chosen).items():
            records = chosen[name][2]
            cpu = sorted(1e6 * cpu / records for cpu, _, _ in rounds)
            wall, rss = (statistics.median(of) for of in list(zip(*rounds))[1:])
            rows[name] = (statistics.median(cpu), cpu[0], cpu[-1], records / wall, rss)
        print("| client | CPU µs a record (spread) | to kcat | records/s | to kcat | peak RSS, MiB |")
        print("|---|---|---|---|---|---|")
        for name, (cpu, least, most, rate, rss) in rows.items():
            print(f"| {name} | {cpu:.2f} ({least:.2f} to {most:.2f}) | {cpu / rows[BASE][0]:.2f} | {rate:,.0f} "
                  f"| {rate / rows[BASE][3]:.2f} | {rss:.0f} |")
        if self.options.svg:
            self.options.svg.write_text(svg(rows), encoding="utf-8")

    def start(self):
        """20 pairs from start to exit."""
        few = self.lines("forty", 20)
        chosen = {
            "kcat, 3 headers": (self.kcat(few, HEADERS), {}, 40),
            "vm4-producer": ([self.program], self.run(20), 40),
        }
        results = {name: [] for name in chosen}
        for _ in range(4 * self.options.rounds):
            for name, client in chosen.items():
                results[name].append(self.counted(*client))
        base = statistics.median(wall for _, wall, _ in results["kcat, 3 headers"])
        print("| 20 pairs | start to exit, ms (spread) | to kcat | peak RSS, MiB |")
        print("|---|---|---|---|")
        for name, rounds in results.items():
            wall = sorted(1000 * wall for _, wall, _ in rounds)
            rss = statistics.median(rss for _, _, rss in rounds)
            median = statistics.median(wall)
            print(f"| {name} | {median:.0f} ({wall[0]:.0f} to {wall[-1]:.0f}) | {median / 1000 / base:.2f} | {rss:.0f} |")

    def pace(self):
        """How late pairs are, and the rate."""
        print("| pairs a second asked for | sent | lateness p50, ms | p99 | longest | CPU µs a record |")
        print("|---|---|---|---|---|---|")
        for rate in (1_000, 10_000):
            pairs = rate * self.options.seconds
            report = self.directory / "report"
            variables = self.run(pairs, SLEEP_SEC=str(1 / rate), REPORT_FILE=str(report))
            cpu, _, _ = self.counted([self.program], variables, 2 * pairs)
            told = json.loads(report.read_text(encoding="utf-8"))
            late = told["lateness_ms"]
            # From the start of the program to the last answer, with one more gap between pairs.
            sent = pairs / (told["elapsed_sec"] + 1 / rate)
            print(f"| {rate:,} | {sent:,.1f} | {late['p50']:.2f} | {late['p99']:.2f} | {late['max']:.2f} "
                  f"| {1e6 * cpu / (2 * pairs):.1f} |")

    def scale(self):
        """The cost of a record and the memory, by the number of records."""
        print("| records | CPU µs a record | wall, s | peak RSS, MiB |")
        print("|---|---|---|---|")
        for records in SCALES:
            cpu, wall, rss = self.counted([self.program], self.run(records // 2), records)
            print(f"| {records:,} | {1e6 * cpu / records:.2f} | {wall:.2f} | {rss:.0f} |")


def svg(rows):
    """Bars of the processor time of a record."""
    width, bar, left = 720, 22, 250
    longest = max(cpu for cpu, *_ in rows.values())
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{bar * len(rows) + 40}" '
           'font-family="sans-serif" font-size="13">',
           '<style>@media (prefers-color-scheme: dark) { [fill="white"] { fill: #0d1117 } text { fill: #e6edf3 } }</style>',
           '<rect width="100%" height="100%" fill="white"/>',
           '<text x="10" y="20" font-weight="bold">Processor time of a record, µs (median)</text>']
    for at, (name, (cpu, *_)) in enumerate(rows.items()):
        y = 32 + at * bar
        colour = "#2a7ab0" if name.startswith("vm4-producer") else "#b0b7bd"
        long = max(1, round((width - left - 60) * cpu / longest))
        out.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{name}</text>'
                   f'<rect x="{left}" y="{y}" width="{long}" height="{bar - 4}" fill="{colour}"/>'
                   f'<text x="{left + long + 6}" y="{y + 14}">{cpu:.2f}</text>')
    return "\n".join([*out, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=pathlib.Path)
    parser.add_argument("--broker")
    parser.add_argument("--kafka", type=pathlib.Path)
    parser.add_argument("--python")
    parser.add_argument("--pairs", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--only", nargs="+", choices=PARTS)
    parser.add_argument("--svg", type=pathlib.Path)
    options = parser.parse_args()
    for tool in ("kcat", "taskset", "cc"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing")
    if options.broker:
        cluster, where = contextlib.nullcontext(options.broker), options.broker
    elif options.kafka:
        cluster, where = clusters.kafka(options.kafka), "Apache Kafka"
    else:
        cluster, where = clusters.mock(options.target / "release/examples/mock_cluster"), "a mock cluster"
    with cluster as address, tempfile.TemporaryDirectory() as directory:
        bench = Bench(options, address, directory)
        keeps_all = options.broker or options.kafka
        for part in options.only or PARTS[0 if keeps_all else 1 :]:
            print(f"\n{part}: to {where}, medians of {options.rounds} rounds, load {os.getloadavg()[0]:.1f}\n", flush=True)
            getattr(bench, part)()


PARTS = ["read", "throughput", "start", "pace", "scale"]

if __name__ == "__main__":
    main()
