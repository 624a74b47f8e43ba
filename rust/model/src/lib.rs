//! A model of the lease protocol: what `PostgreSQL`, Redis, workers, clients and keepers (whoever has a queue's duty)
//! may do, one atomic statement, script call or decision at a time, in every order, with faults at any instant.
//!
//! It is explored exhaustively (`make model`) and judged by invariants that have the names of those of `tenure check`.
//! Time is left out: a lease that nobody extends may expire at any instant, and whatever waits may wait for ever. What is
//! modelled and what is not, with figures, is told in `docs/model.md`.
//!
//! # Layout
//! - [`setting`]: how much of everything, the record mode, and what is broken on purpose
//! - [`state`]: all that is remembered; [`action`]: all that can happen, and which of it is a fault
//! - [`postgres`]: the statements of `_queries/*.sql`; [`redis`]: the scripts of `rust/core/lua`
//! - [`client`], [`worker`], [`keeper`]: who calls them, step by step; [`fault`]: what strikes them
//! - [`protocol`]: all of it as a [`stateright::Model`]
//! - [`canon`]: one state for all that differ in nothing that can matter any more
//! - [`invariants`]: what must hold in every state; [`search`]: whether every job can still end, from every state, and the
//!   shortest way to a breach

pub mod action;
pub mod canon;
pub mod client;
pub mod fault;
pub mod invariants;
pub mod keeper;
pub mod postgres;
pub mod protocol;
pub mod redis;
pub mod search;
pub mod setting;
pub mod state;
pub mod worker;
