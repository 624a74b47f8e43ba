// pg-boss. At most one job of a group is active in the whole fleet, where the worker asks for that.
import { PgBoss } from 'pg-boss';
import { hold, mark } from './marks.mjs';

const QUEUE = 'bench';
const BATCH = 100;

async function started(options) {
  const boss = new PgBoss({ connectionString: process.env.PEER_POSTGRES, max: 20, ...options });
  boss.on('error', (error) => console.error(error));
  await boss.start();
  return boss;
}

export async function setup() {
  const boss = await started();
  await boss.createQueue(QUEUE);
  await boss.stop({ graceful: false });
  return null;
}

export async function producer() {
  const boss = await started({ supervise: false, schedule: false });
  return {
    one: (data) => boss.send(QUEUE, data),
    many: (batch) => boss.insert(QUEUE, batch.map((data) => ({ data }))),
    limited: (batch) => boss.insert(QUEUE, batch.map((data) => ({ data: { ...data, held: true }, group: { id: 'held' } }))),
    close: () => boss.stop({ graceful: false }),
  };
}

export async function work() {
  const boss = await started();
  const options = {
    batchSize: BATCH,
    pollingIntervalSeconds: 0.5,
    burstWhenBatchFull: true,
    ...(process.env.PEER_LIMITED ? { groupConcurrency: 1 } : {}),
  };
  const run = (jobs) => Promise.all(jobs.map(({ data }) => (data.held ? hold(data) : mark(data))));
  // Fetches at the same moment let a job of the group through each: the others begin when one is held.
  let more = () => {
    more = () => {};
    const localConcurrency = Math.max(1, Number(process.env.PEER_CONCURRENCY) / BATCH - 1);
    boss.work(QUEUE, { ...options, localConcurrency }, run);
  };
  await boss.work(QUEUE, options, (jobs) => {
    more();
    return run(jobs);
  });
}
