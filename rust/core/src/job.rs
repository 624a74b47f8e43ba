//! A job as Redis holds it.
//!
//! The text form is readable with `redis-cli` and cheap to pick apart in Lua: one ASCII header line, then the payload.

use std::fmt::Write as _;

use crate::error::{Error, Result};

/// The version of the text form; the header begins with it.
const VERSION: &str = "1";

/// What a worker must know of a job, as it stands in the `jobs` hash. Times and durations are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// 36 characters.
    pub job_id: String,
    /// The registered handler's name.
    pub job_type: String,
    /// 1 (low) to 5 (high).
    pub priority: u8,
    /// The fence of the job's last lease, 0 before the first.
    pub fence: u64,
    /// Runs so far.
    pub attempts: u32,
    /// Runs allowed after the first.
    pub max_retries: u32,
    /// How long a run may take; 0 for no limit.
    pub timeout_ms: u64,
    /// When the job becomes ready, by the clock of the server.
    pub run_at_ms: i64,
    /// The arguments; opaque here.
    pub payload: Vec<u8>,
    /// Whether `PostgreSQL` calls it ready: then it is, whatever Redis' clock says of `run_at_ms`. Not part of the text form: a job
    /// that was read back has been leased, so it was.
    pub ready: bool,
    /// How the payload is encoded: `json` or `msgpack`.
    pub payload_format: String,
    /// When a start is recorded: `before` or `behind` the run.
    pub mode: String,
}

impl Descriptor {
    /// Refuses what would not survive the text form.
    pub fn validate(&self) -> Result<()> {
        if !(1..=5).contains(&self.priority) {
            return Err(Error::invalid("priority", "1 to 5", self.priority));
        }
        for (field, value) in [
            ("job_id", &self.job_id),
            ("job_type", &self.job_type),
            ("format", &self.payload_format),
            ("mode", &self.mode),
        ] {
            if value.is_empty() || value.bytes().any(|byte| byte <= b' ' || byte == b':') {
                return Err(Error::invalid(field, "text without spaces and ':'", value));
            }
        }
        Ok(())
    }

    /// The text form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut header = String::with_capacity(64 + self.job_type.len() + self.payload.len());
        // writing to a String cannot fail
        let _ = writeln!(
            header,
            "{VERSION} {} {} {} {} {} {} {} {} {}",
            self.priority,
            self.fence,
            self.attempts,
            self.max_retries,
            self.timeout_ms,
            self.run_at_ms,
            self.payload_format,
            self.mode,
            self.job_type
        );
        let mut text = header.into_bytes();
        text.extend_from_slice(&self.payload);
        text
    }

    /// Reads the text form; `None` if it is not one of this version.
    #[must_use]
    pub fn decode(job_id: &str, text: &[u8]) -> Option<Self> {
        let end = text.iter().position(|byte| *byte == b'\n')?;
        let header = std::str::from_utf8(&text[..end]).ok()?;
        let mut words = header.split(' ');
        if words.next()? != VERSION {
            return None;
        }
        Some(Self {
            job_id: job_id.to_owned(),
            priority: words.next()?.parse().ok()?,
            fence: words.next()?.parse().ok()?,
            attempts: words.next()?.parse().ok()?,
            max_retries: words.next()?.parse().ok()?,
            timeout_ms: words.next()?.parse().ok()?,
            run_at_ms: words.next()?.parse().ok()?,
            ready: true,
            payload_format: words.next()?.to_owned(),
            mode: words.next()?.to_owned(),
            job_type: words.next()?.to_owned(),
            payload: text[end + 1..].to_vec(),
        })
    }
}

/// A job and one of its fences: the name of a lease.
pub type JobFence = (String, u64);

/// A lease as a member of `processing` and `rescue`.
#[must_use]
pub fn member(job_id: &str, fence: u64) -> String {
    format!("{job_id}:{fence}")
}

/// The lease that a member names.
#[must_use]
pub fn lease_of(member: &str) -> Option<JobFence> {
    let (job_id, fence) = member.rsplit_once(':')?;
    Some((job_id.to_owned(), fence.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor() -> Descriptor {
        Descriptor {
            job_id: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
            job_type: "thumbnail".to_owned(),
            priority: 4,
            fence: 17,
            attempts: 2,
            max_retries: 5,
            timeout_ms: 30_000,
            run_at_ms: 1_732_390_000_123,
            ready: true,
            payload: b"{\"path\":\"a\\nb\"}\n\0".to_vec(),
            payload_format: "json".to_owned(),
            mode: "before".to_owned(),
        }
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let job = descriptor();
        assert_eq!(Descriptor::decode(&job.job_id, &job.encode()), Some(job));
    }

    #[test]
    fn another_version_is_no_descriptor() {
        assert_eq!(Descriptor::decode("x", b"2 4 17 2 5 0 0 json before t\n{}"), None);
        assert_eq!(Descriptor::decode("x", b"garbage"), None);
    }

    #[test]
    fn a_job_type_with_a_space_is_refused() {
        let job = Descriptor { job_type: "two words".to_owned(), ..descriptor() };
        assert!(matches!(job.validate(), Err(Error::Invalid { field: "job_type", .. })));
    }

    #[test]
    fn a_member_names_its_lease() {
        assert_eq!(lease_of(&member("abc", 7)), Some(("abc".to_owned(), 7)));
        assert_eq!(lease_of("abc"), None);
    }
}
