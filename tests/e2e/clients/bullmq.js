// SPDX-License-Identifier: Apache-2.0
// BullMQ, the version that the argument names: results, retries, delays, priorities, flows, events.
const { main, same, until, host, port } = require("./check.js");
const { Queue, Worker, QueueEvents, FlowProducer, Job } = require(process.argv[2]);

const connection = { host, port, maxRetriesPerRequest: null };

main(async () => {
    const queue = new Queue("work", { connection });
    const events = new QueueEvents("work", { connection });
    await events.waitUntilReady();
    const completed = [];
    events.on("completed", ({ jobId, returnvalue }) => completed.push([jobId, returnvalue]));

    // Waiting jobs: order, priorities, what is removed.
    const order = [];
    await queue.add("order", { name: "low" }, { priority: 10 });
    await queue.add("order", { name: "high" }, { priority: 1 });
    await queue.add("order", { name: "first" });
    const removed = await queue.add("order", { name: "never" });
    same([await queue.getWaitingCount(), await queue.getPrioritizedCount()], [2, 2]);
    await removed.remove();
    same((await queue.getJobs(["waiting"])).map((job) => job.data.name), ["first"]);

    let tries = 0;
    const run = async (job) => {
        switch (job.name) {
        case "order":
            order.push(job.data.name);
            return null;
        case "double":
            await job.updateProgress(50);
            return { n: 2 * job.data.n, text: "é" };
        case "hard":
            if (++tries < 3) {
                throw new Error("not yet");
            }
            return "done";
        case "fail":
            throw new Error("as it should");
        case "parent":
            return Object.values(await job.getChildrenValues()).reduce((sum, v) => sum + v.n, 0);
        default:
            return Date.now();
        }
    };
    const worker = new Worker("work", run, { connection, concurrency: 1 });
    await until(() => order.length === 3);
    same(order, ["first", "high", "low"]);

    const jobs = await queue.addBulk([...Array(200).keys()].map((n) => ({ name: "double", data: { n } })));
    for (const [n, job] of jobs.entries()) {
        same(await job.waitUntilFinished(events, 90000), { n: 2 * n, text: "é" });
    }
    same((await Job.fromId(queue, jobs[5].id)).progress, 50);
    await until(() => completed.length === 203);

    const hard = await queue.add("hard", {}, { attempts: 3, backoff: { type: "fixed", delay: 100 } });
    same([await hard.waitUntilFinished(events, 90000), tries], ["done", 3]);
    const bad = await queue.add("fail", {});
    await bad.waitUntilFinished(events, 90000).then(
        () => { throw new Error("it did not fail"); },
        (why) => same(why.message, "as it should"));
    same((await queue.getFailed()).map((job) => [job.id, job.failedReason]), [[bad.id, "as it should"]]);

    const began = Date.now();
    const later = await queue.add("when", {}, { delay: 400 });
    same(await later.isDelayed(), true);
    same(await later.waitUntilFinished(events, 90000) >= began + 400, true);

    const flow = await new FlowProducer({ connection }).add({
        name: "parent", queueName: "work",
        children: [1, 2, 3].map((n) => ({ name: "double", queueName: "work", data: { n } })),
    });
    same(await flow.job.waitUntilFinished(events, 90000), 12);

    // One that has the same id is one job.
    await queue.pause();
    await queue.add("double", { n: 1 }, { jobId: "mine" });
    await queue.add("double", { n: 2 }, { jobId: "mine" });
    same((await queue.getJob("mine")).data.n, 1);
    await queue.drain();
    same(await queue.getJob("mine"), undefined);
    await queue.resume();
    same((await queue.getWorkers()).length >= 1, true);
    await worker.close();
    await queue.obliterate({ force: true });
    same([await queue.getWaitingCount(), await queue.getCompletedCount(), await queue.getFailedCount()],
        [0, 0, 0]);
    await events.close();
    await queue.close();
    process.exit(0);
});
