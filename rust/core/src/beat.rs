//! One beat: the signs of life of a process's workers and the extension of all their leases, in one pipeline.

use std::{
    sync::{Arc, PoisonError},
    time::Instant,
};

use redis::Pipeline;

use crate::{
    error::{Error, Result},
    extend::Extensions,
    heartbeat::{Member, Rhythm},
    keys::Keys,
    link::{Link, is_no_script},
    process::Usage,
    sample::{Reading, Sample},
    script::{EXTEND, PRESENT, Reply},
};

/// The most workers of one script call.
const CHUNK: usize = 400;
/// A series is cut to its length once in so many beats: one command less in all others.
const CUT_EVERY: u64 = 16;
/// How long a series outlives its worker, and a silent worker stays in the roster, ms; ten TTLs where those are longer.
const KEPT_MS: u64 = 3_600_000;

/// What a beat needs.
pub(crate) struct Beat<'a> {
    pub keys: &'a Keys,
    pub lease_ms: u64,
    pub rhythm: Rhythm,
    pub members: &'a [Arc<Member>],
    pub usage: Usage,
    /// The server's time, ms, and when it was asked.
    pub clock: (i64, Instant),
    pub planned: Instant,
}

impl Beat<'_> {
    /// Sends one pipeline and tells of leases that are gone or asked to stop; the server's time, where it was told.
    pub(crate) async fn send(&self, link: &Link) -> Result<Option<i64>> {
        let began = Instant::now();
        let extensions = Extensions::of(self.members, self.keys, began)?;
        let mut pipeline = Pipeline::new();
        // Leases first: they are what a late beat costs.
        extensions.add_to(&mut pipeline, self.lease_ms);
        let presents = self.add_presence(&mut pipeline);
        let series = self.add_samples(&mut pipeline, began);
        let count = extensions.len() + presents + self.members.len() + series;
        let mut answers = link.pipeline("heartbeat", &pipeline, count).await?;
        if answers.iter().any(|answer| matches!(answer.clone().extract_error(), Err(error) if is_no_script(&error))) {
            // What did not run is sent again; beating twice does no harm.
            link.query(EXTEND.name, &EXTEND.load()).await?;
            link.query(PRESENT.name, &PRESENT.load()).await?;
            answers = link.pipeline("heartbeat", &pipeline, count).await?;
        }
        let mut answers = answers.into_iter();
        // A sign of life that was refused (no memory, no permission) must not cost the leases.
        let told = extensions.tell(answers.by_ref().take(extensions.len()), began);
        let mut outcome = Ok(None);
        for answer in answers.by_ref().take(presents) {
            match answer.extract_error() {
                Ok(value) => outcome = outcome.map(|_| Reply::new(value).and_then(|mut reply| reply.number())),
                Err(error) => outcome = Err(Error::from_redis("heartbeat", &error)),
            }
        }
        // What becomes of the series, which follow, costs nobody anything.
        let refused: Vec<(&Member, redis::RedisError)> = self
            .members
            .iter()
            .zip(answers)
            .filter_map(|(member, answer)| Some((member.as_ref(), answer.extract_error().err()?)))
            .collect();
        if let Some((_, error)) = refused.first() {
            outcome = Err(Error::from_redis("heartbeat", error));
            self.keep_alive(link, refused.iter().map(|(member, _)| *member)).await;
        }
        told?;
        outcome
    }

    /// Enters everybody in the roster; how many calls that takes.
    fn add_presence(&self, pipeline: &mut Pipeline) -> usize {
        let roster = self.keys.roster();
        for chunk in self.members.chunks(CHUNK) {
            let mut command = PRESENT.call(&[&roster]);
            command.arg(self.kept_ms());
            for member in chunk {
                command.arg(&member.worker_id);
            }
            pipeline.add_command(command);
        }
        self.members.len().div_ceil(CHUNK)
    }

    /// Everybody's sample, then the series; how many commands the series take.
    fn add_samples(&self, pipeline: &mut Pipeline, now: Instant) -> usize {
        let at_ms = self.clock.0 + i64::try_from(self.clock.1.elapsed().as_millis()).unwrap_or_default();
        let lag = now.saturating_duration_since(self.planned);
        let mut lines = Vec::with_capacity(self.members.len());
        for member in self.members {
            let reading = Reading {
                vitals: member.pulse.vitals(),
                usage: self.usage,
                held: member.held.len(),
                waits: member.held.take_waits(),
                lag,
                at_ms,
                interval: self.rhythm.interval(),
            };
            let mut sampler = member.sampler.lock().unwrap_or_else(PoisonError::into_inner);
            let Sample { whole, line, score } = sampler.take(&reading, &member.pulse.profile());
            member.pulse.scored(score);
            let key = self.keys.heartbeat(&member.worker_id);
            pipeline.cmd("SET").arg(key).arg(whole).arg("PX").arg(self.rhythm.ttl_ms);
            lines.push((self.keys.series(&member.worker_id), line, sampler.beat() % CUT_EVERY == 0));
        }
        let mut count = 0;
        for (key, line, cut) in lines {
            pipeline.cmd("LPUSH").arg(&key).arg(line);
            pipeline.cmd("PEXPIRE").arg(&key).arg(self.kept_ms());
            count += 2;
            if cut {
                pipeline.cmd("LTRIM").arg(&key).arg(0).arg(self.rhythm.history - 1);
                count += 1;
            }
        }
        count
    }

    /// Where memory has run out this is still let through: these stay alive with the samples they have.
    async fn keep_alive(&self, link: &Link, members: impl Iterator<Item = &Member>) {
        let mut pipeline = Pipeline::new();
        let mut count = 0;
        for member in members {
            pipeline.cmd("PEXPIRE").arg(self.keys.heartbeat(&member.worker_id)).arg(self.rhythm.ttl_ms);
            count += 1;
        }
        let _ = link.pipeline("heartbeat", &pipeline, count).await;
    }

    fn kept_ms(&self) -> u64 {
        KEPT_MS.max(self.rhythm.ttl_ms * 10)
    }
}
