"use strict";
// Croquet's own VM at the same work as our replica: one line of JSON in, {"work", "count"}, and one line out.
//
// It joins a session as an app would, with Croquet's own switch "offline", which puts a socket made of timers in place
// of a connection. From then on the work comes from here and not from there: the socket is silenced, so that nothing
// runs but what is measured. The VM and its controller are those of the npm package, untouched.

const readline = require("node:readline");
console.warn = () => {};  // "offline mode enabled, no multiuser"
const write = line => process.stdout.write(line + "\n");
console.log = () => {};
const { Model, Session, View } = require("@croquet/croquet");

const BATCH = 512;  // as many entries as one of our frames holds
const CLOCKS = 100;
const PERIOD_MS = 10;
const FOREVER = Infinity;

class Counter extends Model {
    init() {
        this.total = 0;
        this.partner = Partner.create();
        this.clocks = Array.from({ length: CLOCKS }, () => Clock.create());
        this.bots = [];
        this.subscribe("counter", "add", this.add);
        this.subscribe("counter", "burst", this.burst);
        this.subscribe("counter", "grow", this.grow);
    }

    add(data) {
        this.total += data.by;
        this.publish("counter", "added", this.total);
    }

    burst(count) {
        for (let n = 0; n < count; n++) this.publish("counter", "added", n);
    }

    grow(count) {
        for (const bot of this.bots) bot.destroy();
        this.bots = [];
        for (let n = 0; n < count; n++) this.bots.push(Bot.create(n));
        this.bots.forEach((bot, n) => { bot.friend = this.bots[n === 0 ? 1 : n - 1]; });
    }
}
Counter.register("Counter");

class Partner extends Model {
    init() {
        this.heard = 0;
        this.subscribe("counter", "added", this.hear);
    }

    hear() {
        this.heard += 1;
    }
}
Partner.register("Partner");

class Clock extends Model {
    init() {
        this.ticks = 0;
        this.subscribe("clocks", "start", this.start);
        this.subscribe("clocks", "repeat", this.repeat);
        this.subscribe("clocks", "stop", this.stop);
    }

    start() {
        this.future(PERIOD_MS).tick();
    }

    tick() {
        this.ticks += 1;
        this.future(PERIOD_MS).tick();
    }

    repeat() {
        this.future({ every: PERIOD_MS }).count();
    }

    count() {
        this.ticks += 1;
    }

    stop() {
        this.cancelFuture("*");
        this.cancelFuture(this.count);
    }
}
Clock.register("Clock");

class Bot extends Model {
    init(number) {
        this.name = `bot ${number}`;
        this.x = number * 0.5;
        this.y = number / 3;
        this.energy = number % 100;
        this.score = number * 1000;
        this.alive = number % 2 === 0;
        this.path = [number, number + 1];
        this.style = { colour: "red", size: number % 7 };
        this.friend = null;
    }
}
Bot.register("Bot");

let vm, controller, view;

async function join() {
    const session = await Session.join({
        appId: "org.msq.benchmarks", name: "replica", password: "tea", apiKey: "none", options: {},
        model: Counter, view: View, step: "manual", tps: 1, debug: "offline",
    });
    vm = globalThis.CROQUETVM;
    controller = vm.controller;
    view = session.view;
    const socket = controller.connection.socket;
    clearInterval(socket.ticker);
    socket.onmessage = null;
    controller.simulate(FOREVER);
}

// What a view sends for a publication, taken at the last step before it is encrypted.
function payload(scope, event, data) {
    let message;
    controller.sendMessage = sent => { message = sent; };
    view.publish(scope, event, data);
    delete controller.sendMessage;
    return message.asState()[2];
}

// The log: [time, seq, payload] for `count` events, a millisecond apart, after what the VM has had.
function log(count, text) {
    const time = Math.floor(vm.time) + 1;
    return Array.from({ length: count }, (_, n) => [time + n, (vm.externalSeq + 1 + n) >>> 0, text]);
}

// What the controller does with a message once it is decrypted.
function receive(entry) {
    controller.networkQueue.push([entry, 0]);
    controller.reflectorTime = entry[0];
}

function run(scope, event, data) {
    log(1, payload(scope, event, data)).forEach(receive);
    controller.simulate(FOREVER);
}

function advance(milliseconds) {
    controller.reflectorTime = vm.time + milliseconds;
    controller.simulate(FOREVER);
}

// Of the processor, and not of the clock: the machine may have other work.
function seconds(work) {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6;
}

function inBatches(entries, work) {
    for (let start = 0; start < entries.length; start += BATCH) {
        for (const entry of entries.slice(start, start + BATCH)) work(entry);
        controller.simulate(FOREVER);
    }
}

function expect(what, found, expected) {
    if (found !== expected) throw Error(`${what}: expected ${expected}, got ${found}`);
}

const root = () => vm.namedModels.modelRoot;
const ticks = () => root().clocks.reduce((sum, clock) => sum + clock.ticks, 0);

function clocks(event, count) {
    run("clocks", event);
    const before = ticks();
    const taken = seconds(() => advance(count / CLOCKS * PERIOD_MS));
    expect("ticks", ticks() - before, count);
    run("clocks", "stop");
    return { seconds: taken };
}

const WORKS = {
    events(count) {
        const frames = log(count, payload("counter", "add", { by: 2 })).map(entry => JSON.stringify(entry));
        const before = root().partner.heard;
        const taken = seconds(() => inBatches(frames, frame => receive(JSON.parse(frame))));
        expect("events", root().partner.heard - before, count);
        return { seconds: taken };
    },

    async sealed(count) {
        const text = payload("counter", "add", { by: 2 });
        const frames = [];
        for (const [time, seq] of log(count, text)) {
            const sealed = await controller.encryptPayload([text, controller.viewId, time]);
            frames.push(JSON.stringify({ id: controller.id, action: "RECV", args: [time, seq, sealed] }));
        }
        const before = root().partner.heard;
        const taken = seconds(() => inBatches(frames, frame => controller.connection.receive(frame)));
        expect("events", root().partner.heard - before, count);
        return { seconds: taken };
    },

    publish(count) {
        const before = root().partner.heard;
        const taken = seconds(() => run("counter", "burst", count));
        expect("events", root().partner.heard - before, count);
        return { seconds: taken };
    },

    future: count => clocks("start", count),

    repeat: count => clocks("repeat", count),

    grow(count) {
        run("counter", "grow", count);
        expect("models", root().bots.length, count);
        return {};
    },

    snapshot() {
        let text, restored;
        const write_s = seconds(() => { text = JSON.stringify(vm.snapshot()); });
        const read_s = seconds(() => { restored = new vm.constructor(JSON.parse(text), false, () => {}); });
        expect("models", Object.keys(restored.models).length, Object.keys(vm.models).length);
        return { write_s, read_s, size_bytes: Buffer.byteLength(text) };
    },
};

async function main() {
    await join();
    write(JSON.stringify({ node: process.version }));
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const { work, count } = JSON.parse(line);
        write(JSON.stringify(await WORKS[work](count)));
    }
    process.exit(0);
}

main().catch(error => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
});
