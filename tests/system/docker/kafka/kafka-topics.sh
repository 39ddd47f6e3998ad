#!/bin/bash
# What the script of this name runs in Kafka's own image.
exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*' \
    org.apache.kafka.tools.TopicCommand "$@"
