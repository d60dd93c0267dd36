// SPDX-License-Identifier: Apache-2.0
// node-redis, the version that the first argument names, in the protocol that the second one does.
const { main, same, refused, sleep, url } = require("./check.js");
const { createClient } = require(process.argv[2]);
const protocol = Number(process.argv[3]);
const major = Number(process.argv[2].slice(5));

const connected = async (more) => {
    const options = major === 4 ? { url } : { url, RESP: protocol, unstableResp3: true };
    const client = createClient({ ...options, ...more });
    client.on("error", (why) => {
        throw why;
    });
    await client.connect();
    return client;
};

main(async () => {
    const r = await connected();
    const other = await connected();

    same(await r.set("s", "v", { EX: 100 }), "OK");
    same(await r.set("s", "w", { NX: true }), null);
    same(await r.get("s"), "v");
    same(await r.mGet(["s", "none"]), ["v", null]);
    same(await r.incrBy("n", 41), 41);
    same(await r.incr("n"), 42);
    same(await r.hSet("h", { a: "1", b: "two" }), 2);
    same({ ...(await r.hGetAll("h")) }, { a: "1", b: "two" });
    await r.sAdd("set", ["x", "y"]);
    same([...(await r.sMembers("set"))].sort(), ["x", "y"]);
    same(await r.zAdd("z", [{ score: 1.5, value: "m" }, { score: 1795262984.5, value: "o" }]), 2);
    same((await r.zRangeWithScores("z", 0, -1)).map(({ score, value }) => [score, value]),
        [[1.5, "m"], [1795262984.5, "o"]]);
    same(await r.zScore("z", "m"), 1.5);
    same(await r.rPush("l", ["a", "b", "c"]), 3);
    same(await r.lRange("l", 0, -1), ["a", "b", "c"]);
    await refused(r.incr("l"), /WRONGTYPE/);
    await refused(r.sendCommand(["NOSUCH", "a"]), /unknown command/);

    // Commands of one tick go as one pipeline.
    const lengths = await Promise.all([...Array(2000).keys()].map((i) => r.rPush("p", String(i))));
    same(lengths, [...Array(2000).keys()].map((i) => i + 1));
    same(await r.multi().set("m", "1").incr("m").lRange("p", 0, 1).exec(), ["OK", 2, ["0", "1"]]);
    const third = await connected();
    await third.watch("m");
    await other.set("m", "9");
    await refused(third.multi().incr("m").exec(), /watch|Watch|transaction/i);

    // Blocking, with what another connection pushes.
    const waiting = third.blPop(["w1", "w2"], 20);
    await sleep(50);
    same(await other.rPush("w2", "job"), 1);
    same({ ...(await waiting) }, { key: "w2", element: "job" });
    same(await third.brPop("w1", 0.05), null);

    // Streams and groups.
    const first = await r.xAdd("x", "*", { f: "1" });
    const second = await r.xAdd("x", "*", { f: "2" });
    same(await r.xGroupCreate("x", "g", "0"), "OK");
    await refused(r.xGroupCreate("x", "g", "0"), /BUSYGROUP/);
    const read = await r.xReadGroup("g", "c", { key: "x", id: ">" }, { COUNT: 10 });
    if (Array.isArray(read)) {
        same(read[0].name, "x");
        same(read[0].messages.map((m) => [m.id, { ...m.message }]),
            [[first, { f: "1" }], [second, { f: "2" }]]);
    } else { // version 5 hands out RESP3's map as it came
        same(read.x.map(([id, fields]) => [id, [...fields]]), [[first, ["f", "1"]], [second, ["f", "2"]]]);
    }
    same(await r.xAck("x", "g", first), 1);
    const pending = await r.xPending("x", "g");
    same([pending.pending, pending.firstId, pending.lastId], [1, second, second]);
    same(await third.xRead({ key: "x", id: "$" }, { BLOCK: 30 }), null);

    // Publish and subscribe, patterns too.
    const heard = [];
    const sub = await connected();
    await sub.subscribe("news", (text, channel) => heard.push([channel, text]));
    await sub.pSubscribe("ne*", (text, channel) => heard.push(["pattern", channel, text]));
    same(await r.publish("news", "hello"), 2);
    while (heard.length < 2) {
        await sleep(10);
    }
    same(heard.sort(), [["news", "hello"], ["pattern", "news", "hello"]]);
    await sub.unsubscribe("news");
    await sub.pUnsubscribe("ne*");
    same(await r.publish("other", "x"), 0);

    // All keys, in steps.
    const found = new Set();
    for await (const keys of r.scanIterator({ COUNT: 3 })) {
        [keys].flat().forEach((key) => found.add(key));
    }
    same([...found].sort(), (await r.keys("*")).sort());

    const five = await connected({ database: 5, name: "five" });
    await five.set("five", "5");
    same(await five.dbSize(), 1);
    same(await r.get("five"), null);
    same(await five.clientGetName(), "five");
    same(/redis_version:7/.test(await r.info("server")), true);

    for (const client of [r, other, third, sub, five]) {
        await (client.close ? client.close() : client.quit());
    }
});
