//! A job as Redis holds it.
//!
//! The text form is readable with `redis-cli` and cheap to pick apart in Lua: one ASCII header line, then the payload.

use std::fmt::Write as _;

use crate::{
    class::check_required,
    error::{Error, Result},
};

/// The version of the text form; the header begins with it.
const VERSION: &str = "1";
/// The version of a job with attributes: the same words, then theirs.
const WITH_ATTRIBUTES: &str = "2";
/// A word of an attribute that a job has not.
const NONE: &str = "-";

/// What puts a job into a lane of its own; see `docs/lanes.md`. Most jobs have none of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// Whose job it is; empty for nobody's.
    pub tenant: String,
    /// The class of workers that may run it; empty for every worker. See [`class`](crate::class).
    pub requires: String,
    /// What it shares a limit with; empty for none.
    pub limit_key: String,
    /// What its tenant is charged for it, in thousandths of an ordinary job.
    pub cost: u64,
    /// By when it should have run, for the order `deadline`; 0 for no time.
    pub deadline_ms: i64,
}

impl Default for Attributes {
    fn default() -> Self {
        Self { tenant: String::new(), requires: String::new(), limit_key: String::new(), cost: 1000, deadline_ms: 0 }
    }
}

impl Attributes {
    /// The highest cost: a million ordinary jobs.
    const HIGHEST_COST: u64 = 1_000_000_000;

    fn validate(&self) -> Result<()> {
        for (field, value) in [("tenant", &self.tenant), ("limit_key", &self.limit_key)] {
            if !value.is_empty() {
                label(field, value)?;
            }
        }
        check_required(&self.requires)?;
        if !(1..=Self::HIGHEST_COST).contains(&self.cost) {
            return Err(Error::invalid("cost", format!("1 to {} thousandths", Self::HIGHEST_COST), self.cost));
        }
        if self.deadline_ms < 0 {
            return Err(Error::invalid("deadline_ms", "0 or later", self.deadline_ms));
        }
        Ok(())
    }

    fn decode<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut text = || words.next().map(|word| if word == NONE { String::new() } else { word.to_owned() });
        let (tenant, requires, limit_key) = (text()?, text()?, text()?);
        Some(Self {
            tenant,
            requires,
            limit_key,
            cost: words.next()?.parse().ok()?,
            deadline_ms: words.next()?.parse().ok()?,
        })
    }
}

/// Refuses a name that could not be told from what stands beside it in a key: a tenant, a limit key, a limited type.
pub(crate) fn label(field: &'static str, value: &str) -> Result<()> {
    const LIMIT: usize = 128;
    let clean = value.bytes().all(|byte| byte > b' ' && byte != 0x7f && byte != b'|');
    if clean && (1..=LIMIT).contains(&value.len()) && !matches!(value, NONE | "*") {
        return Ok(());
    }
    Err(Error::invalid(field, format!("1 to {LIMIT} bytes without spaces and '|', not `-` or `*`"), value))
}

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
    /// What puts it into a lane.
    pub attributes: Attributes,
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
            if value.is_empty() || value.bytes().any(|byte| byte <= b' ' || byte == b':' || byte == b'|') {
                return Err(Error::invalid(field, "text without spaces, ':' and '|'", value));
            }
        }
        self.attributes.validate()
    }

    /// Whether it has attributes: then its queue has lanes.
    #[must_use]
    pub fn is_laned(&self) -> bool {
        self.attributes != Attributes::default()
    }

    /// The text form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut header = String::with_capacity(64 + self.job_type.len() + self.payload.len());
        let laned = self.is_laned();
        let version = if laned { WITH_ATTRIBUTES } else { VERSION };
        // writing to a String cannot fail
        let _ = write!(
            header,
            "{version} {} {} {} {} {} {} {} {} {}",
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
        if laned {
            let Attributes { tenant, requires, limit_key, cost, deadline_ms } = &self.attributes;
            let [tenant, requires, limit_key] =
                [tenant, requires, limit_key].map(|word| if word.is_empty() { NONE } else { word.as_str() });
            let _ = write!(header, " {tenant} {requires} {limit_key} {cost} {deadline_ms}");
        }
        header.push('\n');
        let mut text = header.into_bytes();
        text.extend_from_slice(&self.payload);
        text
    }

    /// Reads the text form; `None` if it is none of these versions.
    #[must_use]
    pub fn decode(job_id: &str, text: &[u8]) -> Option<Self> {
        let end = text.iter().position(|byte| *byte == b'\n')?;
        let header = std::str::from_utf8(&text[..end]).ok()?;
        let mut words = header.split(' ');
        let version = words.next()?;
        if version != VERSION && version != WITH_ATTRIBUTES {
            return None;
        }
        let job = Self {
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
            attributes: Attributes::default(),
        };
        if version == VERSION {
            return Some(job);
        }
        Some(Self { attributes: Attributes::decode(words)?, ..job })
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
            attributes: Attributes::default(),
        }
    }

    fn laned() -> Descriptor {
        let attributes = Attributes {
            tenant: "acme".to_owned(),
            requires: "gpu,region:eu;cpu=2".to_owned(),
            limit_key: String::new(),
            cost: 2500,
            deadline_ms: 1_732_390_009_999,
        };
        Descriptor { attributes, ..descriptor() }
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        for job in [descriptor(), laned()] {
            job.validate().unwrap();
            assert_eq!(Descriptor::decode(&job.job_id, &job.encode()), Some(job));
        }
    }

    #[test]
    fn the_header_is_that_of_the_documentation() {
        let header = |job: Descriptor| {
            let text = job.encode();
            String::from_utf8(text.split(|byte| *byte == b'\n').next().unwrap().to_vec()).unwrap()
        };
        assert_eq!(header(descriptor()), "1 4 17 2 5 30000 1732390000123 json before thumbnail");
        assert_eq!(
            header(laned()),
            "2 4 17 2 5 30000 1732390000123 json before thumbnail acme gpu,region:eu;cpu=2 - 2500 1732390009999"
        );
    }

    #[test]
    fn another_version_is_no_descriptor() {
        assert_eq!(Descriptor::decode("x", b"3 4 17 2 5 0 0 json before t\n{}"), None);
        assert_eq!(Descriptor::decode("x", b"2 4 17 2 5 0 0 json before t\n{}"), None);
        assert_eq!(Descriptor::decode("x", b"garbage"), None);
    }

    #[test]
    fn a_job_type_with_a_space_is_refused() {
        let job = Descriptor { job_type: "two words".to_owned(), ..descriptor() };
        assert!(matches!(job.validate(), Err(Error::Invalid { field: "job_type", .. })));
    }

    #[test]
    fn attributes_that_could_be_mistaken_are_refused() {
        let field_of = |attributes| match (Descriptor { attributes, ..descriptor() }).validate() {
            Err(Error::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        let plain = Attributes::default;
        for tenant in ["a b", "a|b", "-", "*", "a\n", &"x".repeat(129)] {
            assert_eq!(field_of(Attributes { tenant: tenant.to_owned(), ..plain() }), "tenant");
            assert_eq!(field_of(Attributes { limit_key: tenant.to_owned(), ..plain() }), "limit_key");
        }
        assert_eq!(field_of(Attributes { requires: "b,a".to_owned(), ..plain() }), "requires");
        assert_eq!(field_of(Attributes { cost: 0, ..plain() }), "cost");
        assert_eq!(field_of(Attributes { cost: 1_000_000_001, ..plain() }), "cost");
        assert_eq!(field_of(Attributes { deadline_ms: -1, ..plain() }), "deadline_ms");
    }

    #[test]
    fn a_member_names_its_lease() {
        assert_eq!(lease_of(&member("abc", 7)), Some(("abc".to_owned(), 7)));
        assert_eq!(lease_of("abc"), None);
    }
}
