// SPDX-License-Identifier: Apache-2.0
package gateway;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;

import org.springframework.boot.Banner;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.cache.annotation.CacheEvict;
import org.springframework.cache.annotation.Cacheable;
import org.springframework.cache.annotation.EnableCaching;
import org.springframework.context.annotation.Bean;
import org.springframework.data.redis.cache.RedisCacheConfiguration;
import org.springframework.data.redis.connection.RedisConnectionFactory;
import org.springframework.data.redis.core.StringRedisTemplate;
import org.springframework.data.redis.listener.RedisMessageListenerContainer;

/** A service of Spring Boot over Lettuce, as its guides have it, and what it is used for. */
@SpringBootConfiguration
@EnableAutoConfiguration
@EnableCaching
public class Service {
    /** Looked up once for each number, until it is forgotten. */
    public static class Prices {
        private final AtomicInteger asked = new AtomicInteger();

        @Cacheable("prices")
        public String of(int number) {
            return "é" + number + "/" + asked.incrementAndGet();
        }

        @CacheEvict("prices")
        public void forget(int number) {
            asked.incrementAndGet();
        }

        @CacheEvict(value = "prices", allEntries = true)
        public void forgetAll() {
            asked.incrementAndGet();
        }
    }

    @Bean
    Prices prices() {
        return new Prices();
    }

    @Bean
    RedisCacheConfiguration kept() {
        return RedisCacheConfiguration.defaultCacheConfig().entryTtl(Duration.ofHours(1));
    }

    @Bean
    RedisMessageListenerContainer listeners(RedisConnectionFactory factory) {
        var container = new RedisMessageListenerContainer();
        container.setConnectionFactory(factory);
        return container;
    }

    public static void main(String[] args) {
        System.setProperty("spring.data.redis.url", System.getenv("REDIS_URL") + "/1");
        System.setProperty("spring.data.redis.client-name", "service");
        System.setProperty("logging.level.root", "warn");
        var spring = new SpringApplicationBuilder(Service.class).web(WebApplicationType.NONE)
            .bannerMode(Banner.Mode.OFF);
        try (var context = spring.run(args)) {
            var redis = context.getBean(StringRedisTemplate.class);
            new Values(redis).all();
            new Queues(redis, context.getBean(RedisMessageListenerContainer.class)).all();
            cache(context.getBean(Prices.class), redis);
        }
    }

    private static void cache(Prices prices, StringRedisTemplate redis) {
        Check.same(prices.of(1), "é1/1");
        Check.same(prices.of(1), "é1/1");
        Check.same(prices.of(2), "é2/2");
        Check.same(redis.keys("prices::*"), java.util.Set.of("prices::1", "prices::2"));
        Check.same(redis.getExpire("prices::1") > 3500, true);
        prices.forget(1);
        Check.same(prices.of(1), "é1/4");
        Check.same(prices.of(2), "é2/2");
        prices.forgetAll();
        Check.same(redis.keys("prices::*"), java.util.Set.of());
    }
}
