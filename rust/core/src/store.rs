//! One process's hot path: a connection, the key names and the leases held. Each verb hangs its method on [`Store`].

use std::sync::Arc;

use crate::{error::Result, held::Held, keys::Keys, link::Link, options::Options, server::ServerInfo};

/// The most jobs of one script call: five arguments each, and managed services refuse calls of many thousand.
pub(crate) const CHUNK: usize = 200;

/// A handle on the hot path; clones share everything.
#[derive(Clone)]
pub struct Store {
    pub(crate) link: Link,
    pub(crate) keys: Keys,
    pub(crate) options: Arc<Options>,
    pub(crate) held: Arc<Held>,
}

impl Store {
    /// Connects, and says who answered.
    pub async fn connect(options: Options, held: Arc<Held>) -> Result<(Self, ServerInfo)> {
        options.validate()?;
        let link = Link::connect(&options).await?;
        let server = crate::server::ask(&link, &options).await?;
        let keys = Keys::new(options.prefix.clone())?;
        Ok((Self { link, keys, options: Arc::new(options), held }, server))
    }

    /// An empty registry fit for these options.
    #[must_use]
    pub fn held_for(options: &Options) -> Arc<Held> {
        Arc::new(Held::new(options.trust()))
    }
}
