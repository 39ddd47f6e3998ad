//! What the tests make once, and keep in the user's cache, outside of any checkout, so that every
//! checkout shares it.
//!
//! It ages there. Removing an entry has the next test make it anew.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use siphasher::sip::SipHasher13;

/// The entry of this name, which nothing may write to. `make` gets the path at which it shall make
/// it, in a directory of its own, if it is not there yet.
pub fn made_once(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let cache = &directory();
    let entry = cache.join(name);
    if entry.exists() {
        return entry;
    }
    fs::create_dir_all(cache).expect("the cache directory can be made");
    let lock = File::create(cache.join(format!("{name}.lock"))).expect("a lock file can be made");
    lock.lock().expect("a lock file can be locked");
    // Another test process may have made it while this one waited for the lock.
    if !entry.exists() {
        let start = Instant::now();
        let prefix = format!("{name}.building-");
        remove_unfinished(cache, &prefix);
        let building = tempfile::Builder::new().prefix(&prefix).tempdir_in(cache);
        let building = building.expect("a directory can be made in the cache");
        let result = building.path().join("root");
        make(&result);
        // Only what is complete gets the name by which it is found.
        fs::rename(&result, &entry).expect("a directory can be renamed in place");
        eprintln!("{name}: made in {:.1?}", start.elapsed());
    }
    entry
}

/// A name that is another one when what the entry is made of has changed.
pub fn name(kind: &str, made_of: &str) -> String {
    // SipHash with a fixed key is the same in every build; the standard library promises no such thing.
    format!("{kind}-{:016x}", SipHasher13::new().hash(made_of.as_bytes()))
}

/// Removes what a test process left that died while it made this entry. The caller has the lock.
fn remove_unfinished(cache: &Path, prefix: &str) {
    for entry in fs::read_dir(cache).expect("the cache directory can be read").flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            fs::remove_dir_all(entry.path()).expect("what is unfinished can be removed");
        }
    }
}

fn directory() -> PathBuf {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    cache.or_else(home).expect("XDG_CACHE_HOME or HOME is set").join("vm4-producer")
}
