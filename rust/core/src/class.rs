//! What a job requires and a worker offers, as text: capabilities, then amounts of resources.
//!
//! `gpu,region:eu;cpu=2,mem=0.5`: capabilities sorted, `;` exactly where resources follow, those sorted by name. An amount is a decimal number with
//! up to three digits behind the point and no zero too many. Nothing is required by `""`. There is one text for one class, so texts are compared.

use crate::error::{Error, Result};

/// The longest text of a class, bytes.
const LONGEST: usize = 512;
/// The largest amount of a resource.
pub(crate) const MOST: u64 = 1_000_000_000;

/// Refuses a text that is no class: what a job requires, where every amount is more than 0.
pub fn check_required(text: &str) -> Result<()> {
    check("requires", text, 1)
}

/// Refuses a text that no worker can offer; it may have 0 left of something.
pub fn check_offered(text: &str) -> Result<()> {
    check("offers", text, 0)
}

fn check(field: &'static str, text: &str, least: u64) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let refused = || Error::invalid(field, "sorted capabilities, then `;` and sorted resources with amounts", text);
    let (capabilities, resources) = match text.split_once(';') {
        Some((capabilities, resources)) => (capabilities, Some(resources)),
        None => (text, None),
    };
    let names: Vec<&str> = if capabilities.is_empty() { Vec::new() } else { capabilities.split(',').collect() };
    let amounts: Vec<(&str, &str)> = match resources {
        None => Vec::new(),
        Some(list) => list.split(',').map(|one| one.split_once('=').ok_or_else(refused)).collect::<Result<_>>()?,
    };
    let resource_names: Vec<&str> = amounts.iter().map(|(name, _)| *name).collect();
    let fits = text.len() <= LONGEST
        && [&names, &resource_names].into_iter().all(|list| list.is_sorted_by(|one, next| one < next))
        && names.iter().chain(&resource_names).all(|name| is_name(name))
        && amounts.iter().all(|(_, amount)| thousandths(amount).is_some_and(|amount| amount >= least));
    if fits { Ok(()) } else { Err(refused()) }
}

/// A part of a class, or a resource of a policy.
pub(crate) fn is_name(name: &str) -> bool {
    !matches!(name, "" | "-" | "*") && name.bytes().all(|byte| byte > b' ' && byte != 0x7f && !b",;=|".contains(&byte))
}

/// An amount in thousandths, if it is written the one way it may be.
pub(crate) fn thousandths(amount: &str) -> Option<u64> {
    let (whole, part) = match amount.split_once('.') {
        Some((_, part)) if part.is_empty() || part.len() > 3 || part.ends_with('0') => return None,
        Some(halves) => halves,
        None => (amount, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) || !digits(whole) || !digits(part) {
        return None;
    }
    let whole: u64 = whole.parse().ok().filter(|whole| *whole <= MOST)?;
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    Some(whole * 1000 + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_class_may_be() {
        for text in ["", "gpu", "gpu,region:eu", ";cpu=2", "gpu,region:eu;cpu=0.5,mem=4", "a;b=0.125"] {
            check_required(text).unwrap();
        }
        check_offered("gpu;cpu=0,mem=1.5").unwrap();
    }

    #[test]
    fn one_class_has_one_text() {
        let odd = [
            "b,a",
            "a,a",
            "a,",
            ",a",
            "a b",
            "a|b",
            "-",
            "*",
            "a;",
            ";",
            ";cpu",
            ";cpu=",
            ";mem=1,cpu=1",
            ";cpu=1,cpu=1",
        ];
        let amounts = [
            ";cpu=0",
            ";cpu=01",
            ";cpu=1.0",
            ";cpu=1.",
            ";cpu=.5",
            ";cpu=0.1234",
            ";cpu=-1",
            ";cpu=1e3",
            ";cpu=1000000001",
        ];
        for text in odd.into_iter().chain(amounts) {
            assert!(matches!(check_required(text), Err(Error::Invalid { field: "requires", .. })), "{text}");
        }
        assert!(check_required(&"x".repeat(513)).is_err());
    }

    #[test]
    fn amounts_are_counted_in_thousandths() {
        assert_eq!(thousandths("2"), Some(2000));
        assert_eq!(thousandths("0.5"), Some(500));
        assert_eq!(thousandths("0.125"), Some(125));
    }
}
