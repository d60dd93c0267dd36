// SPDX-License-Identifier: Apache-2.0
package gateway;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

import org.springframework.data.domain.Range;
import org.springframework.data.redis.connection.MessageListener;
import org.springframework.data.redis.connection.stream.Consumer;
import org.springframework.data.redis.connection.stream.MapRecord;
import org.springframework.data.redis.connection.stream.ReadOffset;
import org.springframework.data.redis.connection.stream.RecordId;
import org.springframework.data.redis.connection.stream.StreamOffset;
import org.springframework.data.redis.connection.stream.StreamReadOptions;
import org.springframework.data.redis.connection.stream.StreamRecords;
import org.springframework.data.redis.core.RedisCallback;
import org.springframework.data.redis.core.StreamOperations;
import org.springframework.data.redis.core.StringRedisTemplate;
import org.springframework.data.redis.listener.ChannelTopic;
import org.springframework.data.redis.listener.PatternTopic;
import org.springframework.data.redis.listener.RedisMessageListenerContainer;
import org.springframework.data.redis.stream.StreamMessageListenerContainer;
import org.springframework.data.redis.stream.StreamMessageListenerContainer.StreamMessageListenerContainerOptions;

/** Lists, streams with groups and their listeners, channels. */
final class Queues {
    private final StringRedisTemplate redis;
    private final RedisMessageListenerContainer listeners;
    private final StreamOperations<String, String, String> streams;

    Queues(StringRedisTemplate redis, RedisMessageListenerContainer listeners) {
        this.redis = redis;
        this.listeners = listeners;
        this.streams = redis.opsForStream();
    }

    void all() {
        lists();
        groups();
        listened();
        channels();
    }

    private void lists() {
        var ops = redis.opsForList();
        Check.same(ops.rightPushAll("list", "a", "b", "c"), 3L);
        Check.same(ops.range("list", 0, -1), List.of("a", "b", "c"));
        Check.same(ops.rightPopAndLeftPush("list", "done"), "c");
        Check.same(ops.leftPop("list", Duration.ofSeconds(1)), "a");
        Check.same(ops.leftPop("list", 5), List.of("b"));
        Check.same(ops.leftPop("list", Duration.ofSeconds(1)), null);
        var waiting = CompletableFuture.supplyAsync(() -> ops.leftPop("wait", Duration.ofSeconds(50)));
        RedisCallback<String> blocked = connection ->
            connection.serverCommands().info("clients").getProperty("blocked_clients");
        Check.until(() -> "1".equals(redis.execute(blocked)));
        ops.leftPush("wait", "at last");
        Check.same(waiting.join(), "at last");
    }

    private static MapRecord<String, String, String> entry(String key, int n) {
        return StreamRecords.newRecord().in(key).ofMap(Map.of("n", "" + n));
    }

    private void groups() {
        Check.same(streams.createGroup("stream", ReadOffset.from("0"), "group"), "OK");
        Check.refused(() -> streams.createGroup("stream", ReadOffset.from("0"), "group"),
            "BUSYGROUP Consumer Group name already exists");
        var ids = new ArrayList<RecordId>();
        for (int n = 0; n < 5; n++) {
            ids.add(streams.add(entry("stream", n)));
        }
        var next = StreamOffset.create("stream", ReadOffset.lastConsumed());
        var mine = read("one", StreamReadOptions.empty().count(3), next);
        Check.same(mine.stream().map(MapRecord::getId).toList(), ids.subList(0, 3));
        Check.same(mine.get(2).getValue(), Map.of("n", "2"));
        Check.same(read("two", StreamReadOptions.empty(), next).size(), 2);
        Check.same(read("two", StreamReadOptions.empty().block(Duration.ofMillis(20)), next), List.of());
        Check.same(streams.acknowledge("stream", "group", ids.get(0), ids.get(1)), 2L);
        var summary = streams.pending("stream", "group");
        Check.same(summary.getTotalPendingMessages(), 3L);
        Check.same(summary.getPendingMessagesPerConsumer(), Map.of("one", 1L, "two", 2L));
        var pending = streams.pending("stream", "group", Range.unbounded(), 10);
        Check.same(pending.get(0).getId(), ids.get(2));
        Check.same(pending.get(0).getConsumerName(), "one");
        var claimed = streams.claim("stream", "group", "three", Duration.ZERO, ids.get(2), ids.get(3));
        Check.same(claimed.stream().map(MapRecord::getId).toList(), ids.subList(2, 4));
        var known = streams.groups("stream").get(0);
        Check.same(List.of(known.groupName(), known.pendingCount()), List.of("group", 3L));
        Check.same(streams.consumers("stream", "group").size(), 3);
        Check.same(streams.info("stream").streamLength(), 5L);
        Check.same(streams.reverseRange("stream", Range.unbounded()).get(0).getId(), ids.get(4));
        Check.same(streams.trim("stream", 1), 4L);
        Check.same(streams.delete("stream", ids.get(4)), 1L);
        Check.same(streams.destroyGroup("stream", "group"), true);
    }

    @SuppressWarnings("unchecked") // of generic arguments in an array
    private List<MapRecord<String, String, String>> read(String consumer, StreamReadOptions options,
        StreamOffset<String> from) {
        return streams.read(Consumer.from("group", consumer), options, from);
    }

    /** As a service reads its jobs: a container that waits and hands over, acknowledged one by one. */
    private void listened() {
        streams.createGroup("jobs", ReadOffset.from("0"), "workers");
        var options = StreamMessageListenerContainerOptions.builder()
            .pollTimeout(Duration.ofMillis(200)).batchSize(10).build();
        var container = StreamMessageListenerContainer.create(redis.getConnectionFactory(), options);
        List<String> seen = Collections.synchronizedList(new ArrayList<>());
        for (String name : List.of("one", "two")) {
            container.receive(Consumer.from("workers", name),
                StreamOffset.create("jobs", ReadOffset.lastConsumed()), message -> {
                    seen.add(message.getValue().get("n"));
                    streams.acknowledge("jobs", "workers", message.getId());
                });
        }
        container.start();
        for (int n = 0; n < 500; n++) {
            streams.add(entry("jobs", n));
        }
        Check.until(() -> seen.size() >= 500);
        Check.until(() -> streams.pending("jobs", "workers").getTotalPendingMessages() == 0);
        container.stop();
        Check.same(seen.size(), 500);
        Check.same(seen.stream().distinct().count(), 500L);
    }

    private void channels() {
        List<String> came = Collections.synchronizedList(new ArrayList<>());
        MessageListener note = (message, pattern) -> came.add(
            new String(message.getChannel(), StandardCharsets.UTF_8) + " "
            + new String(message.getBody(), StandardCharsets.UTF_8));
        listeners.addMessageListener(note, new ChannelTopic("news"));
        listeners.addMessageListener(note, new PatternTopic("other.*"));
        Check.until(() -> redis.convertAndSend("news", "there?") == 1);
        Check.until(() -> redis.convertAndSend("other.one", "there?") == 1);
        redis.convertAndSend("news", "é first");
        redis.convertAndSend("other.two", "second");
        Check.until(() -> came.contains("news é first") && came.contains("other.two second"));
    }
}
