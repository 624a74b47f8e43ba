// Graphile Worker. Jobs of one named queue run one at a time; with its local queue they would not, so that stays off.
import { makeWorkerUtils, run } from 'graphile-worker';
import { hold, mark } from './marks.mjs';

const connectionString = process.env.PEER_POSTGRES;
const concurrentJobs = Number(process.env.PEER_CONCURRENCY);
const quiet = { maxPoolSize: 20, connectionString };

export async function setup() {
  const utils = await makeWorkerUtils(quiet);
  await utils.migrate();
  await utils.release();
  return null;
}

export async function producer() {
  const utils = await makeWorkerUtils(quiet);
  const addJobs = (batch, spec) => utils.addJobs(batch.map((payload) => ({ ...spec, payload })));
  return {
    one: (data) => utils.addJob('noop', data),
    many: (batch) => addJobs(batch, { identifier: 'noop' }),
    limited: (batch) => addJobs(batch, { identifier: 'held', queueName: 'held' }),
    close: () => utils.release(),
  };
}

export async function work() {
  const taskList = { noop: async (data) => mark(data), held: (data) => hold(data) };
  await run({ ...quiet, concurrency: concurrentJobs, taskList, pollInterval: 100 });
}
