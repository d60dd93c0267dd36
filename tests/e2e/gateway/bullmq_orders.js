// SPDX-License-Identifier: Apache-2.0
// Adds jobs at a rate, one after another, until SIGTERM; each that was acknowledged is then written
// down in the file $ACCEPTED.
const fs = require("fs");
const { Queue, FlowProducer } = require(process.argv[2]);

const connection = {
    host: process.env.REDIS_HOST, port: Number(process.env.REDIS_PORT), retryStrategy: () => 50,
};
const accepted = fs.openSync(process.env.ACCEPTED, "a");
const refused = fs.openSync(process.env.REFUSED, "a");
const pause = 1000 / Number(process.env.RATE);
const kinds = ["plain", "plain", "later", "plain", "hard", "plain", "plain", "parent"];
let ended = false;
process.on("SIGTERM", () => { ended = true; });

(async () => {
    const queue = new Queue("work", { connection });
    const flows = new FlowProducer({ connection });
    queue.on("error", (why) => console.error(why.message));
    flows.on("error", (why) => console.error(why.message));
    const add = (kind, n) => {
        const opts = { jobId: `${kind}-${n}`, attempts: 20, backoff: { type: "fixed", delay: 200 } };
        if (kind === "parent") {
            const children = [1, 2, 3].map((k) => ({
                name: "part", queueName: "work", data: { n }, opts: { jobId: `part-${n}-${k}` },
            }));
            return flows.add({ name: kind, queueName: "work", data: { n }, opts, children });
        }
        return queue.add(kind, { n }, kind === "later" ? { ...opts, delay: 1000 } : opts);
    };
    let due = Date.now();
    for (let n = 1; !ended; n++) {
        const kind = kinds[n % kinds.length];
        await add(kind, n).then(
            () => fs.writeSync(accepted, `${kind}-${n}\n`),
            () => fs.writeSync(refused, `${kind}-${n}\n`));
        due = Math.max(due + pause, Date.now() - 1000);
        await new Promise((done) => setTimeout(done, Math.max(due - Date.now(), 0)));
    }
    process.exit(0);
})();
