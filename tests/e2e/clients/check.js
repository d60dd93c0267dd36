// SPDX-License-Identifier: Apache-2.0
// What the JavaScript programs share.
const assert = require("assert");

// main(run): carries out an async program; anything that goes wrong ends it with a message.
exports.main = (run) => {
    const patience = setTimeout(() => {
        console.error("it takes too long");
        process.exit(1);
    }, 400000);
    process.on("unhandledRejection", (why) => {
        console.error(why);
        process.exit(1);
    });
    run().then(
        () => clearTimeout(patience),
        (why) => {
            console.error(why);
            process.exit(1);
        });
};

exports.sleep = (ms) => new Promise((done) => setTimeout(done, ms));
exports.same = assert.deepStrictEqual;
exports.host = process.env.REDIS_HOST;
exports.port = Number(process.env.REDIS_PORT);
exports.sentinelPort = Number(process.env.REDIS_SENTINEL_PORT);
exports.url = process.env.REDIS_URL;

// refused(promise, pattern): it must fail with such a text.
exports.refused = async (promise, pattern) => {
    await assert.rejects(promise, pattern);
};

// until(what): waits until what() gives true.
exports.until = async (what) => {
    const end = Date.now() + 90000;
    while (!(await what())) {
        assert(Date.now() < end, "what was waited for did not come: " + what);
        await exports.sleep(20);
    }
};
