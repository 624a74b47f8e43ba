//! One beat: a worker's sign of life and the extension of all its leases, in one pipeline.

use std::{sync::Arc, time::Instant};

use redis::{Pipeline, Value};

use crate::{
    error::{Error, Result},
    event::{Event, EventSink},
    held::Held,
    job::JobFence,
    keys::{Keys, QueueKeys},
    link::{Link, checked, is_no_script},
    options::Options,
    script::EXTEND,
};

/// The most leases of one script call.
const CHUNK: usize = 500;

/// What a beat needs.
pub(crate) struct Beat<'a> {
    pub options: &'a Options,
    pub keys: &'a Keys,
    pub held: &'a Held,
    pub events: &'a EventSink,
    pub ttl_ms: u64,
}

impl Beat<'_> {
    /// Sends one pipeline and tells of leases that are gone or asked to stop.
    pub(crate) async fn send(&self, link: &Link, sample: &[u8]) -> Result<()> {
        let mut chunks: Vec<(QueueKeys, Vec<String>)> = Vec::new();
        for (queue, members) in self.held.by_queue() {
            let keys = self.keys.queue(&queue)?;
            chunks.extend(members.chunks(CHUNK).map(|chunk| (keys.clone(), chunk.to_vec())));
        }
        let began = Instant::now();
        let mut answers = self.round_trip(link, sample, &chunks).await?;
        if answers.iter().any(|answer| matches!(answer.clone().extract_error(), Err(error) if is_no_script(&error))) {
            // What did not run is sent again; extending twice does no harm.
            link.query(EXTEND.name, &EXTEND.load()).await?;
            answers = self.round_trip(link, sample, &chunks).await?;
        }
        let mut answers = answers.into_iter();
        // A sign of life that was refused (no memory, no permission) must not cost the leases.
        let mut outcome = Ok(());
        if let Some(Err(error)) = answers.next().map(Value::extract_error) {
            outcome = Err(Error::from_redis("heartbeat", &error));
            // Where memory has run out this is still let through: the worker stays alive with its last sample.
            let key = self.keys.heartbeat(&self.options.worker_id);
            let _ = link.query("heartbeat", redis::cmd("PEXPIRE").arg(key).arg(self.ttl_ms)).await;
        }
        for ((keys, members), answer) in chunks.iter().zip(answers) {
            match checked(&EXTEND, keys, answer) {
                Ok(mut reply) => {
                    let unexpected = || Error::unexpected_reply(EXTEND.name);
                    let lost = reply.texts().ok_or_else(unexpected)?;
                    let cancelled = reply.texts().ok_or_else(unexpected)?;
                    self.tell(members, &lost, &cancelled, began);
                }
                // The leases stay ours until their trust ends: a rebuild gives them back.
                Err(Error::NoGeneration { queue }) => (self.events)(Event::NoGeneration { queue }),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    async fn round_trip(&self, link: &Link, sample: &[u8], chunks: &[(QueueKeys, Vec<String>)]) -> Result<Vec<Value>> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("SET").arg(self.keys.heartbeat(&self.options.worker_id)).arg(sample).arg("PX").arg(self.ttl_ms);
        for (keys, members) in chunks {
            let mut command = EXTEND.call(&keys.named(EXTEND.keys));
            command.arg(self.options.lease_ms).arg(members);
            pipeline.add_command(command);
        }
        link.pipeline("heartbeat", &pipeline, chunks.len() + 1).await
    }

    fn tell(&self, members: &[String], lost: &[String], cancelled: &[String], began: Instant) {
        let gone = self.held.lost(lost);
        self.held.extended(members, began);
        for (queue, lease) in gone {
            (self.events)(lost_event(&queue, lease));
        }
        for (queue, (job_id, fence)) in self.held.asked_to_stop(cancelled) {
            (self.events)(Event::Cancel { queue: queue.to_string(), job_id, fence });
        }
    }
}

pub(crate) fn lost_event(queue: &Arc<str>, (job_id, fence): JobFence) -> Event {
    Event::Lost { queue: queue.to_string(), job_id, fence }
}
