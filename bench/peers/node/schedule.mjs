// Keeps the schedule in a thread of its own: a loop's timers are good to a millisecond only, and late when it is busy.
import { performance } from 'node:perf_hooks';
import { parentPort, workerData } from 'node:worker_threads';

const { start, jobs, perSecond } = workerData;
const never = new Int32Array(new SharedArrayBuffer(4));

for (let index = 0; index < jobs; index += 1) {
  const planned = start + index / perSecond;
  const pause = planned * 1000 - (performance.timeOrigin + performance.now());
  if (pause > 0) Atomics.wait(never, 0, 0, pause);
  parentPort.postMessage({ index, planned });
}
