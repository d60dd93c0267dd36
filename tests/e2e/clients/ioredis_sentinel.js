// SPDX-License-Identifier: Apache-2.0
// ioredis configured for Sentinel, the version that the argument names: finds its master, queues through it.
const { main, same, refused, sentinelPort, host, port } = require("./check.js");
const Redis = require(process.argv[2]).default || require(process.argv[2]);
const sentinels = [{ host, port: sentinelPort }];

main(async () => {
    const r = new Redis({ sentinels, name: "mymaster" });
    same(await r.role().then((role) => role[0]), "master");
    same([r.stream.remoteAddress, r.stream.remotePort], [host, port]);
    const jobs = [...Array(500).keys()].map((n) => "job " + n);
    const many = r.pipeline();
    jobs.forEach((job) => many.rpush("jobs", job));
    same((await many.exec()).map(([err, n]) => [err, n]), jobs.map((_, n) => [null, n + 1]));
    same(await r.lrange("jobs", 0, -1), jobs);
    same(await r.lpop("jobs", 500), jobs);

    // Who waits has a connection of its own, found the same way.
    const other = r.duplicate();
    const waits = other.blpop("later", 30);
    await r.rpush("later", "now");
    same(await waits, ["later", "now"]);
    const heard = new Promise((done) => other.on("message", (channel, text) => done([channel, text])));
    await other.subscribe("news");
    same(await r.publish("news", "one"), 1);
    same(await heard, ["news", "one"]);

    // The sentinel itself.
    const asked = new Redis({ host, port: sentinelPort, enableReadyCheck: false });
    same(await asked.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"), [host, String(port)]);
    await refused(asked.call("GET", "jobs"), /unknown command/);

    // A name that there is not: it goes on asking as it was told to, and then gives up.
    const lost = new Redis({ sentinels, name: "another", sentinelRetryStrategy: () => null,
        lazyConnect: true });
    lost.on("error", () => {});
    await refused(lost.connect(), /sentinel/i);
    [r, other, asked, lost].forEach((client) => client.disconnect());
});
