//! The policy of a queue: its order, what is fair in it, and its limits. See `docs/lanes.md`.
//!
//! | field | text |
//! | --- | --- |
//! | `order` | `priority` (default), `ageing`, `deadline` or `shortest` |
//! | `ageing_ms` | what one priority is worth in waiting, for `ageing` |
//! | `shortest_factor` | how much a predicted duration weighs beside waiting, for `shortest` |
//! | `fair` | `jobs` (default), `time` or `share` |
//! | `weight\|TENANT` | 0.001 to 1000, default 1 |
//! | `limit\|SCOPE` | leases at a time |
//! | `rate\|SCOPE` | `amount period_ms burst` |
//! | `quota\|TENANT\|RESOURCE` | how much its leases may hold at a time; the tenant `*` is every other |
//! | `capacity\|RESOURCE` | how much the fleet has, for `share`; the resource `slots` is jobs at a time |
//!
//! A scope is `queue`, `type|TYPE`, `tenant|TENANT`, `tenant|*`, `key|KEY` or `key|*`. Jobs without tenant or key have no limit of that kind.

use std::collections::BTreeMap;

use crate::{
    class::{MOST, is_name, thousandths},
    error::{Error, Result},
    job::label,
    script::SET_POLICY,
    store::Store,
};

/// The fields of a policy.
pub type Policy = BTreeMap<String, String>;

/// What became of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyChange {
    /// It stood already.
    Same,
    /// It stands from now on.
    Set,
    /// It cannot be set in place, for jobs stand or run where they would not under it; nothing was changed. Forget the queue: its rebuild sets it.
    Rebuild,
}

impl Store {
    /// Replaces the policy of a queue as a whole. With `building` the queue need not be built.
    pub async fn set_policy(&self, queue: &str, policy: &Policy, building: bool) -> Result<PolicyChange> {
        for (field, value) in policy {
            check(field, value)?;
        }
        let keys = self.keys.queue(queue)?;
        let mut reply = self
            .link
            .script(&SET_POLICY, &keys, |command| {
                command.arg(queue).arg(self.keys.inbox_prefix()).arg(u8::from(building));
                for (field, value) in policy {
                    command.arg(field).arg(value);
                }
            })
            .await?;
        match reply.number() {
            Some(0) => Ok(PolicyChange::Same),
            Some(1) => Ok(PolicyChange::Set),
            Some(2) => Ok(PolicyChange::Rebuild),
            _ => Err(Error::unexpected_reply(SET_POLICY.name)),
        }
    }
}

fn check(field: &str, value: &str) -> Result<()> {
    let (kind, scope) = field.split_once('|').unwrap_or((field, ""));
    let whole = |least: u64, most: u64| number(value).is_some_and(|number| (least..=most).contains(&number));
    let decimal = |least: u64, most: u64| thousandths(value).is_some_and(|number| (least..=most).contains(&number));
    let (known, allowed) = match kind {
        "order" => (scope.is_empty(), ["priority", "ageing", "deadline", "shortest"].contains(&value)),
        "fair" => (scope.is_empty(), ["jobs", "time", "share"].contains(&value)),
        "ageing_ms" => (scope.is_empty(), whole(1, 1_000_000_000_000)),
        "shortest_factor" => (scope.is_empty(), decimal(0, 1_000_000)),
        "weight" => (label("tenant", scope).is_ok(), decimal(1, 1_000_000)),
        "limit" => (is_scope(scope), whole(0, MOST)),
        "rate" => (is_scope(scope), is_rate(value)),
        "quota" => (
            scope.split_once('|').is_some_and(|(tenant, resource)| is_label(tenant) && is_name(resource)),
            decimal(0, MOST * 1000),
        ),
        "capacity" => (is_name(scope), decimal(1, MOST * 1000)),
        _ => (false, false),
    };
    if !known {
        return Err(Error::invalid("policy field", "one that rust/core/src/policy.rs lists", field));
    }
    if !allowed {
        return Err(Error::invalid("policy", format!("a value that {field} can have"), value));
    }
    Ok(())
}

fn is_scope(scope: &str) -> bool {
    match scope.split_once('|') {
        None => scope == "queue",
        Some(("type", name)) => label("type", name).is_ok(),
        Some(("tenant" | "key", name)) => is_label(name),
        Some(_) => false,
    }
}

fn is_label(name: &str) -> bool {
    name == "*" || label("name", name).is_ok()
}

fn is_rate(value: &str) -> bool {
    let words: Vec<&str> = value.split(' ').collect();
    words.len() == 3 && words.iter().all(|word| number(word).is_some_and(|number| (1..=MOST).contains(&number)))
}

/// A whole number, written the one way it may be.
fn number(text: &str) -> Option<u64> {
    if text.contains('.') { None } else { thousandths(text).map(|amount| amount / 1000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_may_say() {
        for (field, value) in [
            ("order", "ageing"),
            ("ageing_ms", "60000"),
            ("shortest_factor", "0.5"),
            ("fair", "share"),
            ("weight|acme", "2.5"),
            ("limit|queue", "0"),
            ("limit|type|mail", "5"),
            ("limit|tenant|*", "5"),
            ("rate|key|k:1", "10 1000 20"),
            ("quota|*|cpu", "2.5"),
            ("capacity|slots", "40"),
        ] {
            check(field, value).unwrap_or_else(|error| panic!("{field}: {error}"));
        }
    }

    #[test]
    fn what_it_may_not() {
        for (field, value) in [
            ("order", "random"),
            ("order|x", "ageing"),
            ("fair", ""),
            ("ageing_ms", "0"),
            ("weight|", "1"),
            ("weight|*", "1"),
            ("weight|a", "0"),
            ("limit", "1"),
            ("limit|type", "1"),
            ("limit|type|*", "1"),
            ("limit|worker|w", "1"),
            ("limit|queue", "-1"),
            ("limit|queue", "1.5"),
            ("rate|queue", "1 1000"),
            ("rate|queue", "1 0 1"),
            ("rate|queue", "1  1000 1"),
            ("quota|acme", "1"),
            ("quota|a|b|c", "1"),
            ("capacity|cpu", "0"),
            ("types", "a"),
        ] {
            assert!(check(field, value).is_err(), "{field}: {value}");
        }
    }
}
