//! Three brokers, whose partitions have three replicas: what the program says it delivered stays
//! true while leaders come and go.

mod fresh;
mod moving;
mod network;
mod runs;
mod silence;
mod trio;
mod truth;
mod unclean;
mod verdict;

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use trio::Trio;

/// Three brokers for every test that harms none.
pub fn shared() -> &'static Trio {
    static TRIO: LazyLock<Trio> = LazyLock::new(Trio::start);
    &TRIO
}

/// Three brokers for one test at a time, which may do to them what [`Trio::restore`] undoes.
fn exclusive() -> MutexGuard<'static, Trio> {
    static TRIO: LazyLock<Mutex<Trio>> = LazyLock::new(|| Mutex::new(Trio::start()));
    let trio = TRIO.lock().unwrap_or_else(PoisonError::into_inner);
    trio.restore();
    trio
}
