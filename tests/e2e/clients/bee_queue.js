// SPDX-License-Identifier: Apache-2.0
// bee-queue: results, failures with retries, delays, progress, counts.
const { main, same, until, host, port } = require("./check.js");
const Queue = require("bee-queue");

main(async () => {
    const options = { redis: { host, port }, removeOnSuccess: false };
    const queue = new Queue("bee", { ...options, isWorker: false });
    const bees = new Queue("bee", { ...options, activateDelayedJobs: true });
    let tries = 0;
    const finished = (job) => new Promise((done, fail) => {
        job.on("succeeded", done);
        job.on("failed", fail);
    });

    const first = [...Array(50).keys()].map((n) => queue.createJob({ n }));
    const all = first.map(finished);
    await Promise.all(first.map((job) => job.save()));
    same((await queue.checkHealth()).waiting, 50);
    bees.process(2, async (job) => {
        if (job.data.hard && ++tries < 3) {
            throw new Error("not yet");
        }
        if (job.data.fail) {
            throw new Error("as it should");
        }
        job.reportProgress({ at: 1 });
        return job.data.hard ? tries : { n: 2 * job.data.n };
    });
    same(await Promise.all(all), [...Array(50).keys()].map((n) => ({ n: 2 * n })));

    const hard = queue.createJob({ hard: true }).retries(3).backoff("immediate");
    const done = finished(hard);
    await hard.save();
    same(await done, 3);
    const bad = queue.createJob({ fail: true });
    const failed = finished(bad).then(() => "fine", (why) => why.message);
    await bad.save();
    same(await failed, "as it should");
    const later = queue.createJob({ n: 7 }).delayUntil(Date.now() + 300);
    const began = Date.now();
    const came = finished(later);
    await later.save();
    same(await came, { n: 14 });
    same(Date.now() - began >= 290, true);

    await until(async () => (await queue.checkHealth()).succeeded === 52);
    const health = await queue.checkHealth();
    same([health.waiting, health.active, health.failed, health.delayed], [0, 0, 1, 0]);
    same((await queue.getJobs("failed", { size: 10 })).map((job) => job.id), [bad.id]);
    same((await queue.getJob(hard.id)).status, "succeeded");
    await bees.close();
    await queue.destroy();
    await queue.close();
});
