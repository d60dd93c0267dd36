// SPDX-License-Identifier: Apache-2.0
// What the queue has of each job in the file $ACCEPTED: prints one JSON line with the names of those
// that are not completed with the right value. Waits for results as long as they come.
const fs = require("fs");
const { Queue } = require(process.argv[2]);

const connection = { host: process.env.REDIS_HOST, port: Number(process.env.REDIS_PORT) };
const patience = Number(process.env.PATIENCE_S) * 1000;

(async () => {
    const queue = new Queue("work", { connection });
    const names = fs.readFileSync(process.env.ACCEPTED, "ascii").split("\n").filter(Boolean);
    const right = async (name) => {
        const job = await queue.getJob(name);
        const n = Number(name.split("-")[1]);
        return job !== undefined && job.returnvalue === n * n && await job.isCompleted();
    };
    let without = names;
    let end = Date.now() + patience;
    while (without.length > 0 && Date.now() < end) {
        const left = [];
        for (const name of without) {
            if (!await right(name)) {
                left.push(name);
            }
        }
        if (left.length < without.length) {
            end = Date.now() + patience;
        }
        without = left;
        await new Promise((done) => setTimeout(done, 100));
    }
    const said = {};
    for (const name of without.slice(0, 20)) {
        const job = await queue.getJob(name);
        said[name] = job === undefined ? "no such job" : await job.getState();
    }
    console.log(JSON.stringify({ without, said, failed: [], unordered: [] }));
    process.exit(0);
})();
