// BullMQ.
import { Queue, Worker } from 'bullmq';
import { mark } from './marks.mjs';

const { hostname: host, port } = new URL(process.env.PEER_REDIS);
const connection = { host, port: Number(port) };
const opts = { removeOnComplete: true };

export function setup() {
  return null;
}

export function producer() {
  const queue = new Queue('bench', { connection });
  return {
    one: (data) => queue.add('noop', data, opts),
    many: (batch) => queue.addBulk(batch.map((data) => ({ name: 'noop', data, opts }))),
    close: () => queue.close(),
  };
}

export function work() {
  const worker = new Worker('bench', async (job) => mark(job.data), {
    connection,
    concurrency: Number(process.env.PEER_CONCURRENCY),
  });
  worker.on('error', (error) => console.error(error));
}
