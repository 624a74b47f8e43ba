// One process of a peer that lives in Node; the same verbs and the same format of marks as ../driver.py.
//
//     node driver.mjs ADAPTER setup | enqueue SECONDS | preload JOBS | limited JOBS FIRST | offer WARM-UP JOBS RATE | work
//
// What was found is the last line printed, as JSON.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { count, now } from './marks.mjs';

const CALLERS = 100;
const BULK = 1000;
const WARM_WITHIN = 30_000;
const QUIET = 500; // ms in which what the warm-up left behind settles
const PAD = 'x'.repeat(96);

const [name, verb, ...texts] = process.argv.slice(2);
const numbers = texts.map(Number);
const adapter = await import(`./${name}_adapter.mjs`);

function payload(number, sent = 0) {
  return { number, sent, user: 'someone@example.org', template: 'welcome', pad: PAD };
}

async function rate(callers, seconds, send, each = 1) {
  const began = now();
  let sent = 0;
  const caller = async () => {
    while (now() < began + seconds) {
      await send();
      sent += each;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return { sent, perSecond: Math.round((sent / (now() - began)) * 10) / 10 };
}

async function enqueue(producer, seconds) {
  const one = () => producer.one(payload(0));
  const bulk = () => producer.many(Array.from({ length: BULK }, () => payload(0)));
  const warm = await rate(CALLERS, seconds / 10, one); // connections open, code is compiled
  const single = await rate(1, seconds, one);
  const hundred = await rate(CALLERS, seconds, one);
  const thousands = await rate(1, seconds, bulk, BULK);
  return {
    one_by_one: single.perSecond,
    callers_100: hundred.perSecond,
    bulk: thousands.perSecond,
    acknowledged: warm.sent + single.sent + hundred.sent + thousands.sent,
  };
}

async function preload(producer, jobs) {
  for (let first = 0; first < jobs; first += BULK) {
    const length = Math.min(BULK, jobs - first);
    await producer.many(Array.from({ length }, (_, index) => payload(first + index)));
  }
  return null;
}

// Jobs that share a limit, with numbers from `from` on.
async function limited(producer, jobs, from) {
  for (let first = from; first < from + jobs; first += BULK) {
    const length = Math.min(BULK, from + jobs - first);
    await producer.limited(Array.from({ length }, (_, index) => payload(first + index)));
  }
  return null;
}

// Each job is sent at its planned moment, however slow the earlier ones are.
async function offer(producer, warmUp, jobs, perSecond) {
  await Promise.all(Array.from({ length: warmUp }, (_, number) => producer.one(payload(number))));
  const giveUp = now() + WARM_WITHIN / 1000;
  while (count(process.env.PEER_SINK) < warmUp) {
    if (now() > giveUp) throw new Error(`jobs of the warm-up that ran, of ${warmUp}: ${count(process.env.PEER_SINK)}`);
    await sleep(10);
  }
  await sleep(QUIET);
  const workerData = { start: now() + 0.5, jobs, perSecond };
  const schedule = new Worker(new URL('./schedule.mjs', import.meta.url), { workerData });
  const late = [];
  const sendings = [];
  schedule.on('message', ({ index, planned }) => {
    late.push(now() - planned);
    sendings.push(producer.one(payload(warmUp + index, planned)));
  });
  await once(schedule, 'exit');
  await Promise.all(sendings);
  late.sort((a, b) => a - b);
  return { schedule_lag_p99_ms: Math.round(late[Math.floor(jobs * 0.99)] * 1e5) / 100 };
}

function work() {
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || process.exit(1), 1000);
  return adapter.work();
}

if (verb === 'work') {
  await work();
} else if (verb === 'setup') {
  console.log(JSON.stringify(await adapter.setup()));
} else {
  const producer = await adapter.producer();
  const found = await { enqueue, preload, limited, offer }[verb](producer, ...numbers);
  await producer.close();
  console.log(JSON.stringify(found ?? null));
}
