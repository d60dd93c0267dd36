// SPDX-License-Identifier: Apache-2.0
// node-redis configured for Sentinel, the version that the first argument names, in the protocol that the
// second one does: finds its master, queues through it. Version 4 has no Sentinel.
const { main, same, refused, sentinelPort, host, port } = require("./check.js");
const { createClient, createSentinel } = require(process.argv[2]);
const RESP = Number(process.argv[3]);

main(async () => {
    const sentinel = createSentinel({
        name: "mymaster", sentinelRootNodes: [{ host, port: sentinelPort }], RESP,
        nodeClientOptions: { RESP }, sentinelClientOptions: { RESP },
        masterPoolSize: 2,
    });
    sentinel.on("error", (why) => {
        throw why;
    });
    await sentinel.connect();
    same((({ host, port }) => [host, port])(sentinel.getMasterNode()), [host, port]);

    const jobs = [...Array(500).keys()].map((n) => "job " + n);
    for (const job of jobs) {
        await sentinel.rPush("jobs", job);
    }
    same(await sentinel.lRange("jobs", 0, -1), jobs);
    same(await sentinel.lPopCount("jobs", 500), jobs);
    same(await sentinel.multi().set("m", "1").incr("m").exec(), ["OK", 2]);
    await sentinel.hSet("h", { a: "1", b: "two" });
    same({ ...(await sentinel.hGetAll("h")) }, { a: "1", b: "two" });

    // A connection that is held alone waits, and another one pushes.
    const got = await sentinel.use(async (client) => {
        const waits = client.blPop("later", 30);
        await sentinel.rPush("later", "now");
        return waits;
    });
    same({ ...got }, { key: "later", element: "now" });
    await refused(sentinel.incr("h"), /WRONGTYPE/);
    await sentinel.close();

    // The sentinel itself.
    const asked = createClient({ socket: { host, port: sentinelPort }, RESP });
    asked.on("error", (why) => {
        throw why;
    });
    await asked.connect();
    same(await asked.sendCommand(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"]),
        [host, String(port)]);
    same(await asked.sendCommand(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "another"]), null);
    await refused(asked.sendCommand(["GET", "jobs"]), /unknown command/);
    await asked.close();
});
