//! The part of a beat that extends leases: those of all workers of the process, queue by queue.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Instant};

use redis::{Pipeline, Value};

use crate::{
    error::{Error, Result},
    event::Event,
    heartbeat::Member,
    job::JobFence,
    keys::{Keys, QueueKeys},
    link::checked,
    script::EXTEND,
};

/// The most leases of one script call.
const CHUNK: usize = 500;

/// The leases of one script call, and whose they are.
struct Chunk<'a> {
    keys: QueueKeys,
    leases: Vec<String>,
    owners: Vec<(&'a Member, Range<usize>)>,
}

/// All leases to extend.
pub(crate) struct Extensions<'a>(Vec<Chunk<'a>>);

impl<'a> Extensions<'a> {
    /// What these workers hold at the beginning of a beat.
    pub(crate) fn of(members: &'a [Arc<Member>], keys: &Keys, began: Instant) -> Result<Self> {
        let mut queues: BTreeMap<Arc<str>, Vec<Chunk<'a>>> = BTreeMap::new();
        for member in members {
            for (queue, leases) in member.held.by_queue(member.pulse.wedged().then_some(began)) {
                let keys = keys.queue(&queue)?;
                let chunks = queues.entry(queue).or_default();
                for part in leases.chunks(CHUNK) {
                    if chunks.last().is_none_or(|chunk| chunk.leases.len() + part.len() > CHUNK) {
                        chunks.push(Chunk { keys: keys.clone(), leases: Vec::new(), owners: Vec::new() });
                    }
                    if let Some(chunk) = chunks.last_mut() {
                        chunk.add(member, part);
                    }
                }
            }
        }
        Ok(Self(queues.into_values().flatten().collect()))
    }

    /// How many calls that takes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds the calls.
    pub(crate) fn add_to(&self, pipeline: &mut Pipeline, lease_ms: u64) {
        for chunk in &self.0 {
            let mut command = EXTEND.call(&chunk.keys.named(EXTEND.keys));
            command.arg(lease_ms).arg(&chunk.leases);
            pipeline.add_command(command);
        }
    }

    /// Tells each worker what became of its leases, by a request that began at `began`.
    pub(crate) fn tell(&self, answers: impl Iterator<Item = Value>, began: Instant) -> Result<()> {
        let mut outcome = Ok(());
        for (chunk, answer) in self.0.iter().zip(answers) {
            match checked(&EXTEND, &chunk.keys, answer) {
                Ok(mut reply) => {
                    let unexpected = || Error::unexpected_reply(EXTEND.name);
                    let lost = reply.texts().ok_or_else(unexpected)?;
                    let cancelled = reply.texts().ok_or_else(unexpected)?;
                    chunk.tell(&lost, &cancelled, began);
                }
                // The leases stay ours until their trust ends: a rebuild gives them back.
                Err(Error::NoGeneration { queue }) => {
                    for (member, _) in &chunk.owners {
                        (member.events)(Event::NoGeneration { queue: queue.clone() });
                    }
                }
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }
}

impl<'a> Chunk<'a> {
    fn add(&mut self, member: &'a Member, leases: &[String]) {
        let from = self.leases.len();
        self.leases.extend_from_slice(leases);
        self.owners.push((member, from..self.leases.len()));
    }

    /// Each worker knows its own: what is lost or cancelled is looked for by all, and found by one.
    fn tell(&self, lost: &[String], cancelled: &[String], began: Instant) {
        for (member, range) in &self.owners {
            let gone = member.held.lost(lost);
            member.held.extended(&self.leases[range.clone()], began);
            for (queue, lease) in gone {
                (member.events)(lost_event(&queue, lease));
            }
            for (queue, (job_id, fence)) in member.held.asked_to_stop(cancelled) {
                (member.events)(Event::Cancel { queue: queue.to_string(), job_id, fence });
            }
        }
    }
}

pub(crate) fn lost_event(queue: &Arc<str>, (job_id, fence): JobFence) -> Event {
    Event::Lost { queue: queue.to_string(), job_id, fence }
}
