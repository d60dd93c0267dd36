// SPDX-License-Identifier: Apache-2.0
package gateway;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.stream.IntStream;

import org.springframework.data.redis.core.DefaultTypedTuple;
import org.springframework.data.redis.core.RedisOperations;
import org.springframework.data.redis.core.ScanOptions;
import org.springframework.data.redis.core.SessionCallback;
import org.springframework.data.redis.core.StringRedisTemplate;
import org.springframework.data.redis.core.script.RedisScript;

/** Templates: every type, transactions, pipelines, scripts, a lock. */
final class Values {
    private static final RedisScript<Long> RELEASE = RedisScript.of(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end",
        Long.class);
    private final StringRedisTemplate redis;

    Values(StringRedisTemplate redis) {
        this.redis = redis;
    }

    void all() {
        texts();
        collections();
        transactions();
        scripts();
        lock();
        server();
    }

    private void texts() {
        var ops = redis.opsForValue();
        ops.set("text", "\0é\r\n");
        Check.same(ops.get("text"), "\0é\r\n");
        Check.same(ops.get("nothing"), null);
        Check.same(ops.setIfAbsent("once", "1", Duration.ofHours(1)), true);
        Check.same(ops.setIfAbsent("once", "2", Duration.ofHours(1)), false);
        Check.same(redis.getExpire("once") > 3500, true);
        Check.same(ops.increment("count", 41), 41L);
        Check.same(ops.increment("float", 1.5), 1.5);
        Check.same(ops.multiGet(List.of("once", "nothing")), Arrays.asList("1", null));
        Check.same(ops.getAndDelete("once"), "1");
        Check.same(ops.setBit("bits", 9, true), false);
        Check.same(ops.getBit("bits", 9), true);
        Check.refused(() -> ops.increment("text"), "ERR value is not an integer or out of range");
        Check.refused(() -> redis.opsForList().leftPush("text", "1"),
            "WRONGTYPE Operation against a key holding the wrong kind of value");
        redis.rename("text", "renamed");
        Check.same(redis.hasKey("text"), false);
        Check.same(redis.delete(List.of("renamed", "bits", "nothing")), 2L);
    }

    private void collections() {
        redis.opsForHash().putAll("hash", Map.of("sensor", "oil", "value", "81.5"));
        Check.same(redis.opsForHash().entries("hash"), Map.of("sensor", "oil", "value", "81.5"));
        Check.same(redis.opsForHash().increment("hash", "count", 3), 3L);
        Check.same(redis.opsForSet().add("set", "a", "b", "b"), 2L);
        Check.same(redis.opsForSet().members("set"), Set.of("a", "b"));
        redis.opsForZSet().add("zset", Set.of(new DefaultTypedTuple<>("one", 1.5),
            new DefaultTypedTuple<>("two", 2.0)));
        Check.same(redis.opsForZSet().range("zset", 0, -1).stream().toList(), List.of("one", "two"));
        Check.same(redis.opsForZSet().popMin("zset"), new DefaultTypedTuple<>("one", 1.5));
        IntStream.range(0, 1000).forEach(n -> redis.opsForValue().set("scan:" + n, "" + n));
        var seen = new HashSet<String>();
        try (var keys = redis.scan(ScanOptions.scanOptions().match("scan:*").count(100).build())) {
            keys.forEachRemaining(seen::add);
        }
        Check.same(seen.size(), 1000);
        Check.same(redis.delete(seen), 1000L);
    }

    /** On one connection, with the template's operations for it. */
    private <T> T session(java.util.function.Function<RedisOperations<String, String>, T> what) {
        return redis.execute(new Session<>(what));
    }

    private record Session<T>(java.util.function.Function<RedisOperations<String, String>, T> what)
        implements SessionCallback<T> {
        @Override
        @SuppressWarnings("unchecked")
        public <K, V> T execute(RedisOperations<K, V> operations) {
            return what.apply((RedisOperations<String, String>) operations);
        }
    }

    /** Counts up a watched number, and does more, between MULTI and EXEC. */
    private List<Object> together(Consumer<RedisOperations<String, String>> more) {
        return session(ops -> {
            ops.watch("watched");
            String had = ops.opsForValue().get("watched");
            ops.multi();
            ops.opsForValue().set("watched", had == null ? "1" : "" + (Integer.parseInt(had) + 1));
            more.accept(ops);
            return ops.exec();
        });
    }

    private void transactions() {
        Check.same(together(ops -> {
            ops.opsForList().rightPush("made", "a");
            ops.opsForValue().increment("n");
        }), List.of(true, 1L, 1L));
        // Somebody else was faster: nothing is carried out.
        Check.same(together(ops -> CompletableFuture.runAsync(
            () -> redis.opsForValue().set("watched", "100")).join()), List.of());
        Check.same(redis.opsForValue().get("watched"), "100");
        var piped = redis.executePipelined(new Session<Object>(ops -> {
            IntStream.range(0, 1000).forEach(n -> ops.opsForList().rightPush("piped", "" + n));
            return null;
        }));
        Check.same(piped.get(999), 1000L);
    }

    private void scripts() {
        var take = RedisScript.of("""
            local had = tonumber(redis.call('GET', KEYS[1]) or '0')
            if had + tonumber(ARGV[1]) > 10 then return redis.error_reply('FULL no more') end
            return {redis.call('INCRBY', KEYS[1], ARGV[1]), 7}""", List.class);
        Check.same(redis.execute(take, List.of("taken"), "7"), List.of(7L, 7L));
        Check.refused(() -> redis.execute(take, List.of("taken"), "7"), "FULL no more");
    }

    /** As people write it: set if absent with a token, which a script releases. */
    private void lock() {
        var inside = new AtomicInteger();
        var sum = new AtomicInteger();
        var threads = Executors.newFixedThreadPool(8);
        var all = IntStream.range(0, 8).mapToObj(n -> CompletableFuture.runAsync(() -> {
            for (int k = 0; k < 10; k++) {
                Check.until(() -> Boolean.TRUE.equals(
                    redis.opsForValue().setIfAbsent("lock", "" + n, Duration.ofMinutes(1))));
                Check.same(inside.incrementAndGet(), 1);
                sum.incrementAndGet();
                inside.decrementAndGet();
                Check.same(redis.execute(RELEASE, List.of("lock"), "" + n), 1L);
                Check.same(redis.execute(RELEASE, List.of("lock"), "another"), 0L);
            }
        }, threads)).toList();
        all.forEach(CompletableFuture::join);
        threads.shutdown();
        Check.same(sum.get(), 80);
    }

    private void server() {
        var connection = redis.getConnectionFactory().getConnection();
        try {
            Check.same(connection.ping(), "PONG");
            Check.same(connection.serverCommands().getClientName(), "service");
            Check.same(connection.serverCommands().info("server").getProperty("redis_mode"), "standalone");
            Check.same(connection.serverCommands().getConfig("databases").getProperty("databases"), "16");
            Check.same(connection.serverCommands().time() > 1_600_000_000_000L, true);
            byte[] key = "taken".getBytes(StandardCharsets.UTF_8);
            byte[] copy = "copy".getBytes(StandardCharsets.UTF_8);
            connection.keyCommands().restore(copy, 0, connection.keyCommands().dump(key));
            Check.same(redis.opsForValue().get("copy"), "7");
        } finally {
            connection.close();
        }
    }
}
