// SPDX-License-Identifier: Apache-2.0
// BullMQ's worker of the gateway job. What it does is a line in the file $EXECUTED.
const fs = require("fs");
const { Worker } = require(process.argv[2]);

const connection = {
    host: process.env.REDIS_HOST, port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null,
    retryStrategy: () => 50,
};
const log = fs.openSync(process.env.EXECUTED, "a");

const run = async (job) => {
    if (job.name === "hard" && job.attemptsMade === 0) {
        throw new Error("as it should");
    }
    if (job.name === "part") {
        return job.data.n;
    }
    if (job.name === "parent") {
        const parts = Object.values(await job.getChildrenValues());
        if (parts.length !== 3 || parts.some((part) => part !== job.data.n)) {
            throw new Error(`the children gave ${parts}`);
        }
    }
    fs.writeSync(log, `${job.name}-${job.data.n}\n`);
    return job.data.n * job.data.n;
};
// A dead worker's jobs are taken up again when their locks have run out.
const worker = new Worker("work", run, {
    connection, concurrency: 8, lockDuration: 4000, stalledInterval: 1000, maxStalledCount: 50,
});
worker.on("error", (why) => console.error(why.message));
process.on("SIGTERM", () => worker.close().then(() => process.exit(0)));
