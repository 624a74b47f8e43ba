//! What operators see of a queue's lanes.

use crate::{
    error::{Error, Result},
    script::LANES,
    store::Store,
};

/// The most limits and tenants that are told of.
const MOST: usize = 100;

/// A look at the lanes of a queue; what there are many of is cut at 100.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lanes {
    /// Classes of workers that ready jobs need, and how many jobs each; `""` for those that need nothing.
    pub classes: Vec<(String, u64)>,
    /// Limits and what counts for them: leases and lanes that wait; or thousandths that a tenant holds of a resource (`tenant|TENANT|RESOURCE`).
    pub limits: Vec<(String, u64, u64)>,
    /// Tenants whose jobs are ready and wait for no limit of theirs, and their virtual times in their best band, the next one first.
    pub tenants: Vec<(String, u64)>,
}

impl Store {
    /// What there is in the lanes of a queue, in one call.
    pub async fn lanes(&self, queue: &str) -> Result<Lanes> {
        let keys = self.keys.queue(queue)?;
        let mut reply = self
            .link
            .script(&LANES, &keys, |command| {
                command.arg(MOST);
            })
            .await?;
        let unexpected = || Error::unexpected_reply(LANES.name);
        let mut rows = |width| {
            let texts = reply.texts().ok_or_else(unexpected)?;
            Ok(texts.chunks_exact(width).map(<[String]>::to_vec).collect::<Vec<_>>())
        };
        let number = |text: &str| text.parse().map_err(|_| unexpected());
        let (classes, limits, tenants) = (rows(2)?, rows(3)?, rows(2)?);
        Ok(Lanes {
            classes: classes.iter().map(|row| Ok((row[0].clone(), number(&row[1])?))).collect::<Result<_>>()?,
            limits: limits
                .iter()
                .map(|row| Ok((row[0].clone(), number(&row[1])?, number(&row[2])?)))
                .collect::<Result<_>>()?,
            tenants: tenants.iter().map(|row| Ok((row[0].clone(), number(&row[1])?))).collect::<Result<_>>()?,
        })
    }
}
