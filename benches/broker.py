"""The clusters that benches/sending.py sends to, each in a process on the first processor."""

import contextlib
import pathlib
import subprocess
import tempfile
import time

TOPICS = ("gpu.metrics.v1", "token.usage.v1")
PARTITIONS = 6

# One node, as the system tests have it, that throws old records away: a bench writes gigabytes.
PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
controller.listener.names=CONTROLLER
auto.create.topics.enable=false
log.dirs={data}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.cleaner.dedupe.buffer.size=2097152
log.retention.ms=-1
log.retention.bytes=300000000
log.segment.bytes=50000000
log.retention.check.interval.ms=5000
file.delete.delay.ms=1000
"""


@contextlib.contextmanager
def mock(program):
    """The example mock_cluster; its address."""
    command = ["taskset", "--cpu-list", "0", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.stdin.close()


@contextlib.contextmanager
def kafka(jars, port=29392):
    """An Apache Kafka from these jars; its address."""
    java = ["taskset", "--cpu-list", "0", "java", "-XX:+UseSerialGC", "-Xmx1g", "-cp", f"{jars}/*"]
    with tempfile.TemporaryDirectory() as directory:
        properties = pathlib.Path(directory) / "server.properties"
        data = pathlib.Path(directory) / "data"
        properties.write_text(PROPERTIES.format(port=port, controller=port + 1, data=data), encoding="ascii")
        identity = ["-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", properties]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([*java, "kafka.tools.StorageTool", "format", *identity], check=True, **quiet)
        broker = subprocess.Popen([*java, "kafka.Kafka", properties], **quiet)
        try:
            address = f"127.0.0.1:{port}"
            admin = [*java, "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", address]
            for topic in TOPICS:
                create = ["--create", "--topic", topic, "--partitions", str(PARTITIONS)]
                while subprocess.run([*admin, *create], **quiet).returncode != 0:
                    if broker.poll() is not None:
                        raise SystemExit("the broker ended")
                    time.sleep(1)
            yield address
        finally:
            broker.kill()
            broker.wait()


def records(address):
    """How many records the topics have ever had, by the ends of their partitions."""
    asked = [part for topic in TOPICS for n in range(PARTITIONS) for part in ("-t", f"{topic}:{n}:-1")]
    told = subprocess.run(["kcat", "-Q", "-b", address, *asked], check=True, capture_output=True, text=True)
    return sum(int(line.rsplit(" ", 1)[1]) for line in told.stdout.splitlines())
