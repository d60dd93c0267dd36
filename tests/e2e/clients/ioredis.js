// SPDX-License-Identifier: Apache-2.0
// ioredis, the version that the argument names.
const { main, same, refused, sleep, host, port } = require("./check.js");
const Redis = require(process.argv[2]).default || require(process.argv[2]);

main(async () => {
    const r = new Redis({ host, port });
    const raw = Buffer.from([0, 255, 13, 10, 36]);

    same(await r.set("s", "v", "EX", 100), "OK");
    same(await r.set("s", "w", "NX"), null);
    same(await r.get("s"), "v");
    await r.set("raw", raw);
    same(await r.getBuffer("raw"), raw);
    same(await r.mget("s", "none"), ["v", null]);
    same(await r.incrby("n", 41), 41);
    same(await r.incr("n"), 42);

    same(await r.hset("h", { a: 1, b: "two" }), 2);
    same(await r.hgetall("h"), { a: "1", b: "two" });
    same((await r.sadd("set", "x", "y"), (await r.smembers("set")).sort()), ["x", "y"]);
    same(await r.zadd("z", 1.5, "m", 2, "o"), 2);
    same((await r.zrange("z", 0, -1, "WITHSCORES")).flat().map(String), ["m", "1.5", "o", "2"]);
    same(Number(await r.zscore("z", "m")), 1.5);

    same(await r.rpush("l", "a", "b", "c"), 3);
    same(await r.lrange("l", 0, -1), ["a", "b", "c"]);
    await refused(r.incr("l"), /WRONGTYPE/);
    await refused(r.call("NOSUCH", "a"), /unknown command/);

    // A pipeline, and a transaction with an error in it.
    const many = r.pipeline();
    for (let i = 0; i < 2000; i++) {
        many.rpush("p", i);
    }
    same((await many.exec()).map(([err, n]) => [err, n]), [...Array(2000).keys()].map((i) => [null, i + 1]));
    const done = await r.multi().set("m", "1").lpush("m", "x").incr("m").exec();
    same([done[0], done[1][0].message.slice(0, 9), done[2]], [[null, "OK"], "WRONGTYPE", [null, 2]]);
    await r.watch("m");
    const other = r.duplicate();
    await other.set("m", "9");
    same(await r.multi().incr("m").exec(), null);

    // Blocking, with what another connection pushes.
    const waiting = r.blpop("w1", "w2", 20);
    await sleep(50);
    same(await other.rpush("w2", "job"), 1);
    same(await waiting, ["w2", "job"]);
    same(await r.brpop("w1", 0.05), null);

    // Streams and groups.
    const first = await r.xadd("x", "*", "f", "1");
    const second = await r.xadd("x", "MAXLEN", "~", 1000, "*", "f", "2");
    same(await r.xgroup("CREATE", "x", "g", "0"), "OK");
    await refused(r.xgroup("CREATE", "x", "g", "0"), /BUSYGROUP/);
    let read = await r.xreadgroup("GROUP", "g", "c", "COUNT", 10, "STREAMS", "x", ">");
    read = Array.isArray(read) ? Object.fromEntries(read) : read;
    same(read.x, [[first, ["f", "1"]], [second, ["f", "2"]]]);
    same(await r.xack("x", "g", first), 1);
    same((await r.xpending("x", "g")).slice(0, 3), [1, second, second]);
    same(await r.xread("BLOCK", 30, "STREAMS", "x", "$"), null);

    // Publish and subscribe, patterns too.
    const heard = [];
    const sub = r.duplicate();
    sub.on("message", (channel, text) => heard.push([channel, text]));
    sub.on("pmessage", (pattern, channel, text) => heard.push([pattern, channel, text]));
    same(await sub.subscribe("news", "more"), 2);
    same(await sub.psubscribe("ne*"), 3);
    same(await r.publish("news", "hello"), 2);
    same(await r.publish("more", "text"), 1);
    while (heard.length < 3) {
        await sleep(10);
    }
    same(heard.sort(), [["more", "text"], ["ne*", "news", "hello"], ["news", "hello"]]);

    // All keys, in steps.
    const found = new Set();
    for await (const keys of r.scanStream({ count: 3 })) {
        keys.forEach((key) => found.add(key));
    }
    same([...found].sort(), (await r.keys("*")).sort());

    // Another database, and events in the connection's life.
    const five = new Redis({ host, port, db: 5, connectionName: "five" });
    await five.set("five", "5");
    same(await five.dbsize(), 1);
    same(await r.get("five"), null);
    same((await five.client("LIST")).includes("name=five"), true);
    same(/redis_version:7/.test(await r.info("server")), true);

    same(await sub.quit(), "OK");
    for (const client of [r, other, five]) {
        client.disconnect();
    }
});
