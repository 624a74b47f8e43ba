//! Verbs that steer other workers: a question to one, and its answer. Both are messages and nothing is stored: a worker
//! that is gone hears nothing, and one that comes later does not find what was meant for another.

use crate::{
    error::{Error, Result},
    store::Store,
};

impl Store {
    /// Asks a worker for something; how many heard it, as far as this server knows (one of a cluster may know of none).
    pub async fn ask(&self, worker_id: &str, text: &str) -> Result<usize> {
        let text = format!("{} {text}", self.options.worker_id);
        self.say("ask", &self.keys.control(worker_id), &text).await
    }

    /// Answers who asked.
    pub async fn answer(&self, asker: &str, text: &str) -> Result<usize> {
        self.say("answer", &self.keys.inbox(asker), &format!("answer {text}")).await
    }

    async fn say(&self, verb: &'static str, channel: &str, text: &str) -> Result<usize> {
        let value = self.link.query(verb, redis::cmd("PUBLISH").arg(channel).arg(text)).await?;
        redis::from_redis_value(value).map_err(|_| Error::unexpected_reply(verb))
    }
}
