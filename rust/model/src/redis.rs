//! Redis as the scripts of `rust/core/lua` leave it: each function is one script for one job. A lease `id:fence` is a bit of
//! a set; the bands and the scheduled queue are one place, for time is left out.

use crate::setting::{JOBS, Mutant, Setting};

/// The keys of one queue that concern one job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Entry {
    /// It stands in a band, or among the scheduled.
    pub ready: bool,
    /// The fence in its descriptor.
    pub descriptor: Option<u8>,
    /// Fences of its members in the processing queue.
    pub leases: u8,
    /// Fences of its members in the rescue queue.
    pub rescued: u8,
}

/// One queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Redis {
    /// The generation is there.
    pub built: bool,
    /// By job.
    pub entries: [Entry; JOBS],
    /// Only where a mutant takes fences from here.
    pub counter: u8,
}

/// Whether a set of fences has this one.
#[must_use]
pub fn has(fences: u8, fence: u8) -> bool {
    fences >> fence & 1 == 1
}

fn bit(fence: u8) -> u8 {
    1 << fence
}

impl Redis {
    /// A queue without jobs.
    #[must_use]
    pub fn empty(built: bool) -> Self {
        Self { built, entries: [Entry::default(); JOBS], counter: 0 }
    }

    /// `enqueue.lua`, and `requeue.lua`, which takes the last lease away too; `rebuilding` needs no generation.
    pub fn push(&mut self, job: usize, fence: u8, again: bool, rebuilding: bool) {
        let entry = &mut self.entries[job];
        if !(self.built || rebuilding) || has(entry.leases, fence + 1) {
            return;
        }
        if again {
            entry.leases &= !bit(fence);
            entry.rescued &= !bit(fence);
        }
        entry.ready = true;
        entry.descriptor = Some(fence);
    }

    /// `lease.lua`: the fence of the lease; None where the entry was a double, had no descriptor, or was leased before and is being
    /// rescued: it is dropped.
    pub fn lease(&mut self, job: usize, setting: &Setting) -> Option<u8> {
        let entry = &mut self.entries[job];
        entry.ready = false;
        let fence = if setting.is(Mutant::FenceFromRedis) {
            entry.descriptor?;
            self.counter += 1;
            self.counter
        } else {
            entry.descriptor? + 1
        };
        let rescued = has(entry.rescued, fence) && !setting.is(Mutant::LeaseBesideRescue);
        if has(entry.leases, fence) || rescued {
            return None;
        }
        entry.leases |= bit(fence);
        Some(fence)
    }

    /// `acknowledge.lua`, and `bury.lua`, which is the same for the protocol.
    pub fn acknowledge(&mut self, job: usize, fence: u8) {
        let entry = &mut self.entries[job];
        if !self.built {
            return;
        }
        if has(entry.leases, fence) {
            entry.leases &= !bit(fence);
            entry.descriptor = None;
        } else if has(entry.rescued, fence) {
            entry.rescued &= !bit(fence);
            entry.descriptor = entry.descriptor.filter(|newer| *newer >= fence);
        }
    }

    /// `rescue.lua`: take back a lease that has expired, or one that another rescuer left behind.
    pub fn rescue(&mut self, job: usize, fence: u8) {
        let entry = &mut self.entries[job];
        entry.leases &= !bit(fence);
        entry.rescued |= bit(fence);
    }

    /// `restore.lua`.
    pub fn restore(&mut self, job: usize, fence: u8, rebuilding: bool) {
        let entry = &mut self.entries[job];
        if (self.built || rebuilding) && !has(entry.rescued, fence) {
            entry.leases |= bit(fence);
        }
    }

    /// `missing.lua`, for a waiting job.
    #[must_use]
    pub fn misses(&self, job: usize, fence: u8) -> bool {
        let entry = &self.entries[job];
        !entry.ready && !has(entry.leases | entry.rescued, fence + 1)
    }
}
