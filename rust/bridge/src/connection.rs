//! The store, from when it is connected until it is closed.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use tenure_core::{Error, Held, Options, Result, Store};

use crate::{completion::Answer, runtime::lock};

#[derive(Default)]
pub(crate) struct Connection {
    store: Arc<Mutex<Option<Store>>>,
    /// What is connected only after `close` is dropped.
    closed: Arc<AtomicBool>,
}

impl Connection {
    pub(crate) fn store(&self) -> Option<Store> {
        lock(&self.store).clone()
    }

    pub(crate) fn open(
        &self,
        options: Options,
        held: Arc<Held>,
    ) -> impl Future<Output = Result<Answer>> + Send + 'static {
        let (slot, closed) = (Arc::clone(&self.store), Arc::clone(&self.closed));
        async move {
            let (store, server) = Store::connect(options, held).await?;
            let mut slot = lock(&slot);
            if closed.load(Ordering::Relaxed) {
                return Err(Error::Unavailable { reason: "closed".to_owned() });
            }
            *slot = Some(store);
            Ok(Answer::Server(server))
        }
    }

    pub(crate) fn close(&self) {
        let mut store = lock(&self.store);
        self.closed.store(true, Ordering::Relaxed);
        store.take();
    }
}
