// Where handlers leave their marks, in the format of `tenure.bench.sink`: a count, then number, sent and started for each.
import fs from 'node:fs';
import path from 'node:path';
import { performance } from 'node:perf_hooks';

const HEADER = 8;
const MARK = 24;
const pending = [];
let file = null;
let written = 0;

export function now() {
  return (performance.timeOrigin + performance.now()) / 1000;
}

// The moment is taken here; what was taken in one turn of the loop is written together, as Node cannot map a file.
export function mark(job) {
  if (pending.push([job.number, job.sent, now()]) === 1) setImmediate(write);
}

// A job under a limit holds that for as long as its worker lives.
export function hold(job) {
  mark(job);
  return new Promise(() => {});
}

function write() {
  file ??= fs.openSync(path.join(process.env.PEER_SINK, `${process.pid}.marks`), 'w');
  const marks = Buffer.alloc(pending.length * MARK);
  pending.forEach(([number, sent, started], index) => {
    marks.writeBigUInt64LE(BigInt(number), index * MARK);
    marks.writeDoubleLE(sent, index * MARK + 8);
    marks.writeDoubleLE(started, index * MARK + 16);
  });
  fs.writeSync(file, marks, 0, marks.length, HEADER + written * MARK);
  written += pending.length;
  pending.length = 0;
  const head = Buffer.alloc(HEADER);
  head.writeBigUInt64LE(BigInt(written));
  fs.writeSync(file, head, 0, HEADER, 0); // last: a reader never sees a mark that is half there
}

export function count(directory) {
  let total = 0;
  for (const name of fs.readdirSync(directory).filter((one) => one.endsWith('.marks'))) {
    const data = fs.readFileSync(path.join(directory, name)).subarray(0, HEADER);
    if (data.length === HEADER) total += Number(data.readBigUInt64LE());
  }
  return total;
}
