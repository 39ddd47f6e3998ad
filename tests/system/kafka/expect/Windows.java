import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorSupplier;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The windows of `expect`, computed by Kafka Streams, which knows nothing of the run but its topics, the
 * prices of its GPUs and the models that they serve. It writes a row of expect.v1 to a topic each time
 * that a window changes, ends at what is the end of the topics when it starts, and takes as arguments:
 * bootstrap, topic of the metrics, of the usages, and of the rows, seed file, length of a window in ms,
 * grace in ms, directory for its state, the model of each GPU as a JSON object, and by what records are
 * grouped, with commas between: gpu, model, host, all. By anything but the GPU a record gets another
 * key, and goes through a topic of Kafka Streams' own: its stream time is that of the record's own
 * partition only where there is one partition.
 */
public class Windows {
    /** More than a day of backfill is long. */
    static final Duration FOREVER = Duration.ofDays(4);
    static final BigDecimal MOST_POWER_W = BigDecimal.valueOf(1_000_000);
    static final DateTimeFormatter TIME =
        DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);
    static final ObjectMapper JSON = JsonMapper.builder()
        .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
        .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
        .build();

    /** What is read of a record. */
    public record Event(
        String id, long seq, long microUsdPerHour, boolean readable, Long prompt, Long completion,
        Long latency, BigDecimal utilization, BigDecimal power) {}

    /** What the records of a topic come to in a window. */
    public static class State {
        public long records, unreadable, prompt, completion, cost, utilizations, powers;
        public Long latency;
        public BigDecimal utilization = BigDecimal.ZERO, power = BigDecimal.ZERO;
        public Set<Long> readable = new TreeSet<>();

        State add(Event event) {
            records++;
            if (!event.readable()) {
                unreadable++;
                return this;
            }
            readable.add(event.seq());
            prompt += event.prompt() == null ? 0 : event.prompt();
            completion += event.completion() == null ? 0 : event.completion();
            if (event.latency() != null) {
                latency = latency == null ? event.latency() : Math.max(latency, event.latency());
                cost += (event.microUsdPerHour() * event.latency() + 1_800_000) / 3_600_000;
            }
            if (event.utilization() != null) {
                utilizations++;
                utilization = utilization.add(event.utilization());
            }
            if (event.power() != null) {
                powers++;
                power = power.add(event.power());
            }
            return this;
        }
    }

    static <T> Serde<T> serde(Class<T> type) {
        return Serdes.serdeFrom(
            (topic, value) -> {
                try {
                    return value == null ? null : JSON.writeValueAsBytes(value);
                } catch (JsonProcessingException e) {
                    throw new UncheckedIOException(e);
                }
            },
            (topic, bytes) -> {
                try {
                    return bytes == null ? null : JSON.readValue(bytes, type);
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
    }

    /** The object of a value; null if it is none. */
    static JsonNode object(byte[] value) {
        if (value == null) {
            return null;
        }
        try {
            // A decoder of its own refuses what is no UTF-8, and keeps a byte order mark.
            var text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(value)).toString();
            var node = JSON.readTree(text);
            return node != null && node.isObject() ? node : null;
        } catch (CharacterCodingException | JsonProcessingException e) {
            return null;
        }
    }

    static Long whole(JsonNode object, String name) {
        var node = object.path(name);
        var fits = node.isIntegralNumber() && node.canConvertToLong()
            && node.longValue() >= 0 && node.longValue() < 1L << 32;
        return fits ? node.longValue() : null;
    }

    static BigDecimal number(JsonNode object, String name, BigDecimal most) {
        var node = object.path(name);
        if (!node.isNumber()) {
            return null;
        }
        var number = node.decimalValue();
        var fits = number.signum() >= 0 && number.compareTo(most) <= 0;
        return fits ? number.setScale(6, RoundingMode.HALF_UP) : null;
    }

    /** Reads records, and counts them. */
    class Reader extends ContextualFixedKeyProcessor<String, byte[], Event> {
        String header(FixedKeyRecord<String, byte[]> record, String name) {
            return new String(record.headers().lastHeader(name).value(), StandardCharsets.UTF_8);
        }

        @Override
        public void process(FixedKeyRecord<String, byte[]> record) {
            var seq = header(record, "seq");
            var id = header(record, "run") + "/" + seq;
            var object = object(record.value());
            var price = price(record.key());
            var event = object == null
                ? new Event(id, Long.parseLong(seq), price, false, null, null, null, null, null)
                : new Event(id, Long.parseLong(seq), price, true,
                    whole(object, "prompt_tokens"), whole(object, "completion_tokens"),
                    whole(object, "latency_ms"),
                    number(object, "utilization", BigDecimal.ONE),
                    number(object, "power_w", MOST_POWER_W));
            context().forward(record.withValue(event));
            read.incrementAndGet();
        }
    }

    /** Counts what it passes on. */
    static class Counter extends ContextualFixedKeyProcessor<String, Event, Event> {
        final AtomicLong count;

        Counter(AtomicLong count) {
            this.count = count;
        }

        @Override
        public void process(FixedKeyRecord<String, Event> record) {
            context().forward(record);
            count.incrementAndGet();
        }
    }

    /** Passes the first copy of each record on. */
    static class FirstCopies implements FixedKeyProcessorSupplier<String, Event, Event> {
        final String store;

        FirstCopies(String store) {
            this.store = store;
        }

        @Override
        public Set<StoreBuilder<?>> stores() {
            var seen = Stores.inMemoryKeyValueStore(store);
            return Set.of(Stores.keyValueStoreBuilder(seen, Serdes.String(), Serdes.Integer())
                .withLoggingDisabled());
        }

        @Override
        public FixedKeyProcessor<String, Event, Event> get() {
            return new FixedKeyProcessor<>() {
                FixedKeyProcessorContext<String, Event> context;
                KeyValueStore<String, Integer> seen;

                @Override
                public void init(FixedKeyProcessorContext<String, Event> context) {
                    this.context = context;
                    this.seen = context.getStateStore(store);
                }

                @Override
                public void process(FixedKeyRecord<String, Event> record) {
                    if (seen.putIfAbsent(record.value().id(), 1) == null) {
                        context.forward(record);
                    }
                }
            };
        }
    }

    final Map<Integer, Long> prices = new HashMap<>();
    final JsonNode models;
    final Duration window;
    final StreamsBuilder builder = new StreamsBuilder();
    final AtomicLong read = new AtomicLong();
    /** Records that were given another key, and those of them that came through. */
    final AtomicLong sent = new AtomicLong(), arrived = new AtomicLong();

    Windows(String seed, long windowMs, String models) throws IOException {
        this.models = JSON.readTree(models);
        for (var row : JSON.readTree(new File(seed))) {
            var price = row.get("price_per_hour_usd").decimalValue().movePointRight(6);
            prices.put(row.get("gpu_index").intValue(), price.longValueExact());
        }
        window = Duration.ofMillis(windowMs);
    }

    long price(String key) {
        return prices.get(Integer.parseInt(key.substring(key.lastIndexOf('/') + 1)));
    }

    KTable<Windowed<String>, State> states(KStream<String, Event> events, Duration grace) {
        return events
            .groupByKey(Grouped.with(Serdes.String(), serde(Event.class)))
            .windowedBy(TimeWindows.ofSizeAndGrace(window, grace))
            .aggregate(State::new, (key, event, state) -> state.add(event),
                Materialized.<String, State, WindowStore<Bytes, byte[]>>with(
                        Serdes.String(), serde(State.class))
                    // The table of the other topic asks for windows that are closed here.
                    .withRetention(FOREVER.plus(window))
                    .withLoggingDisabled());
    }

    static String decimal(BigDecimal number) {
        var plain = number.stripTrailingZeros();
        return (plain.scale() < 1 ? plain.setScale(1) : plain).toPlainString();
    }

    static String mean(BigDecimal sum, long count) {
        return count == 0
            ? "null"
            : decimal(sum.divide(BigDecimal.valueOf(count), 6, RoundingMode.HALF_UP));
    }

    /** The records by another key, in their order. */
    KStream<String, Event> by(String grouping, KStream<String, Event> events, String name) {
        if (grouping.equals("gpu")) {
            return events;
        }
        var repartitioned = Repartitioned.<String, Event>as(name).withKeySerde(Serdes.String())
            .withValueSerde(serde(Event.class)).withNumberOfPartitions(1);
        return events.processValues(() -> new Counter(sent))
            .selectKey((gpu, event) -> switch (grouping) {
                case "model" -> models.get(gpu).textValue();
                case "host" -> gpu.substring(0, gpu.lastIndexOf('/'));
                default -> "all";
            })
            .repartition(repartitioned)
            .processValues(() -> new Counter(arrived));
    }

    static String column(String grouping, String name, String key) {
        return ",\"" + name + "\":" + (grouping.equals(name) ? "\"" + key + "\"" : "null");
    }

    static String row(
        String view, String grouping, Windowed<String> key, State metrics, State usages) {
        var pairs = metrics.readable.stream().filter(usages.readable::contains).count();
        return "{\"view\":\"" + view
            + "\",\"window_start\":\"" + TIME.format(Instant.ofEpochMilli(key.window().start()))
            + "\",\"window_end\":\"" + TIME.format(Instant.ofEpochMilli(key.window().end()))
            + "\"" + column(grouping, "host", key.key()) + column(grouping, "gpu", key.key())
            + column(grouping, "model", key.key())
            + ",\"metric_records\":" + metrics.records
            + ",\"metric_unreadable\":" + metrics.unreadable
            + ",\"usage_records\":" + usages.records
            + ",\"usage_unreadable\":" + usages.unreadable
            + ",\"pairs\":" + pairs
            + ",\"prompt_tokens\":" + usages.prompt
            + ",\"completion_tokens\":" + usages.completion
            + ",\"latency_ms_max\":" + usages.latency
            + ",\"utilization_count\":" + metrics.utilizations
            + ",\"utilization_sum\":" + decimal(metrics.utilization)
            + ",\"utilization_mean\":" + mean(metrics.utilization, metrics.utilizations)
            + ",\"power_w_count\":" + metrics.powers
            + ",\"power_w_sum\":" + decimal(metrics.power)
            + ",\"power_w_mean\":" + mean(metrics.power, metrics.powers)
            + ",\"cost_micro_usd\":" + usages.cost + "}";
    }

    void view(
        String view, String grouping, KStream<String, Event> metrics,
        KStream<String, Event> usages, Duration grace, String rows) {
        states(metrics, grace)
            .outerJoin(states(usages, grace), (metric, usage) ->
                List.of(metric == null ? new State() : metric, usage == null ? new State() : usage))
            .toStream()
            .map((key, both) -> org.apache.kafka.streams.KeyValue.pair(
                view + " " + grouping + " " + key.key() + " " + key.window().start(),
                row(view, grouping, key, both.get(0), both.get(1))))
            .to(rows, Produced.with(Serdes.String(), Serdes.String()));
    }

    /** How many records two topics have. */
    static long records(String bootstrap, List<String> topics) {
        var settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<>(settings, bytes, bytes)) {
            var partitions = topics.stream().flatMap(topic -> consumer.partitionsFor(topic).stream())
                .map(info -> new TopicPartition(info.topic(), info.partition())).toList();
            return consumer.endOffsets(partitions).values().stream().mapToLong(end -> end).sum();
        }
    }

    public static void main(String[] args) throws Exception {
        var windows = new Windows(args[4], Long.parseLong(args[5]), args[8]);
        var grace = Duration.ofMillis(Long.parseLong(args[6]));
        var bytes = Consumed.with(Serdes.String(), Serdes.ByteArray());
        KStream<String, Event> metrics =
            windows.builder.stream(args[1], bytes).processValues(() -> windows.new Reader());
        KStream<String, Event> usages =
            windows.builder.stream(args[2], bytes).processValues(() -> windows.new Reader());
        var firstMetrics = metrics.processValues(new FirstCopies("metrics"));
        var firstUsages = usages.processValues(new FirstCopies("usages"));
        for (var grouping : args[9].split(",")) {
            var all = windows.by(grouping, metrics, grouping + "-metrics");
            var used = windows.by(grouping, usages, grouping + "-usages");
            windows.view("all", grouping, all, used, FOREVER, args[3]);
            windows.view("late_dropped", grouping, all, used, grace, args[3]);
            windows.view("deduplicated", grouping,
                windows.by(grouping, firstMetrics, grouping + "-first-metrics"),
                windows.by(grouping, firstUsages, grouping + "-first-usages"), FOREVER, args[3]);
        }

        var settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, args[3]);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, args[7]);
        settings.put("auto.offset.reset", "earliest");
        var total = records(args[0], List.of(args[1], args[2]));
        var streams = new KafkaStreams(windows.builder.build(), settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
        });
        streams.start();
        // What is on its way through a topic of its own is counted when it is sent, and when it comes.
        while (windows.read.get() < total || windows.arrived.get() < windows.sent.get()) {
            Thread.sleep(50);
        }
        // What is held in caches is written as it closes.
        System.exit(streams.close(Duration.ofMinutes(2)) ? 0 : 1);
    }
}
