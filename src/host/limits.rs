//! Compares the limits of the process (descriptors, threads, address space) with what a run needs.
//!
//! If a limit is too low, librdkafka retries until its timeout, or ends the process. So the program
//! checks beforehand and names the limit and the remedy.

use std::sync::Mutex;
use std::{fs, io, thread};

use rustix::process::{Resource, getrlimit};

/// Descriptors that a run opens beside those of its brokers: two for the signals, two of librdkafka,
/// and three to look a name up, ask for certificates or write the report. A run on one broker had 8
/// open beside the standard ones.
const DESCRIPTORS: u64 = 7;

/// Descriptors of a broker: a connection, and a pipe that wakes its thread.
const DESCRIPTORS_OF_BROKER: u64 = 3;

/// Threads that a run starts at most, besides those of its brokers: signals, reporter, output, the
/// poller, a request to the cluster, and two of librdkafka.
const THREADS: usize = 7;

/// Address space that a run needs. Without a limit, runs on one broker peaked at 506 to 723 MiB, of
/// which at most 27 MiB were resident. With a limit of 200 to 600 MiB, 9 of 15 floods failed, 8 of
/// them by a signal; with 700 to 1000 MiB none of 9 failed. The rest is reserve, because more
/// brokers and more partitions were not measured.
const ADDRESS_SPACE: u64 = 1 << 30;

/// What an embedded broker and its consumer need besides a run: a demo had 27 open descriptors and
/// 15 threads.
const EMBEDDED: Need = Need { descriptors: 18, threads: 8 };

const FILES: &str = "the process has too few file descriptors: raise LimitNOFILE= or `ulimit -n`";
const TASKS: &str =
    "the system gives no more threads: raise TasksMax= or LimitNPROC= (`ulimit -u`)";
const MEMORY: &str = "the system gives no more memory: raise MemoryMax= or LimitAS= (`ulimit -v`)";

/// What a run needs from the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    descriptors: u64,
    threads: usize,
}

impl Need {
    /// What a run with this many bootstrap servers needs.
    #[must_use]
    pub fn of_run(servers: usize) -> Self {
        // librdkafka counts a bootstrap server and the broker that it turns out to be as two.
        let brokers = servers + 1;
        Self {
            descriptors: DESCRIPTORS + DESCRIPTORS_OF_BROKER * brokers as u64,
            threads: THREADS + brokers,
        }
    }

    /// What a demo needs.
    #[must_use]
    pub fn of_demo() -> Self {
        let run = Self::of_run(1);
        Self {
            descriptors: run.descriptors + EMBEDDED.descriptors,
            threads: run.threads + EMBEDDED.threads,
        }
    }
}

/// Checks that the limits allow what is needed.
///
/// # Errors
/// The limit that is too low, its value and the remedy.
pub fn check(need: Need) -> Result<(), String> {
    if let Some(limit) = getrlimit(Resource::Nofile).current
        && let Some(open) = open_below(limit)
        && limit < open + need.descriptors
    {
        return Err(format!(
            "RLIMIT_NOFILE is {limit}, and a run needs {} file descriptors: raise LimitNOFILE= or \
             `ulimit -n`",
            open + need.descriptors
        ));
    }
    if let Some(limit) = getrlimit(Resource::As).current
        && limit < ADDRESS_SPACE
    {
        return Err(format!(
            "RLIMIT_AS is {} MiB, and a run needs {} MiB of address space: raise LimitAS= or `ulimit \
             -v`, and bound the memory with MemoryMax= instead",
            limit >> 20,
            ADDRESS_SPACE >> 20
        ));
    }
    spare_threads(need.threads).map_err(|(given, error)| {
        format!(
            "{} gives {given} more threads, and a run needs {}: {error}; raise TasksMax= or LimitNPROC= \
             (`ulimit -u`)",
            limit_of_threads(),
            need.threads
        )
    })
}

/// How many open descriptors count against this limit. If they cannot be listed because none is
/// left, it is all of them; `None` without /proc.
fn open_below(limit: u64) -> Option<u64> {
    let list = match fs::read_dir("/proc/self/fd") {
        Ok(list) => list,
        Err(error) if is_exhausted(&error.to_string()).is_some() => return Some(limit),
        Err(_) => return None,
    };
    let numbers = list.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok());
    // The listing itself takes one.
    Some((numbers.filter(|number| *number < limit).count() as u64).saturating_sub(1))
}

/// Starts that many threads at once and ends them, because neither the user's limit nor the control
/// group's shows how much of it is used. On failure, returns how many started.
fn spare_threads(needed: usize) -> Result<(), (usize, io::Error)> {
    let gate = Mutex::new(());
    thread::scope(|scope| {
        let _closed = gate.lock();
        for given in 0..needed {
            let builder = thread::Builder::new().stack_size(1 << 16);
            builder.spawn_scoped(scope, || drop(gate.lock())).map_err(|error| (given, error))?;
        }
        Ok(())
    })
}

/// The limits that bound the number of threads, with their values.
fn limit_of_threads() -> String {
    let user = getrlimit(Resource::Nproc).current;
    let user = user.map_or("unlimited".into(), |limit| limit.to_string());
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group.lines().find_map(|line| line.strip_prefix("0::"));
    let group =
        group.and_then(|path| fs::read_to_string(format!("/sys/fs/cgroup{path}/pids.max")).ok());
    let group = group.map(|max| format!(", pids.max {}", max.trim())).unwrap_or_default();
    format!("the system (RLIMIT_NPROC {user}{group})")
}

/// The limit behind an error of the system or of librdkafka, and its remedy.
#[must_use]
pub fn is_exhausted(text: &str) -> Option<&'static str> {
    let has = |word: &str| text.contains(word);
    // EMFILE, ENFILE, ENOMEM. librdkafka's text about a thread can have a wrong error number.
    if has("Too many open files") {
        Some(FILES)
    } else if has("Cannot allocate memory") {
        Some(MEMORY)
    } else if has("Failed to create thread")
        || has("Failed to create background thread")
        || has("Unable to create broker thread")
        || (has("thread: ") && has("Resource temporarily unavailable"))
    {
        Some(TASKS)
    } else {
        None
    }
}

/// An error, with the remedy if a limit is behind it.
#[must_use]
pub fn described(error: &str) -> String {
    is_exhausted(error).map_or_else(|| error.to_owned(), |remedy| format!("{remedy} ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_a_limit_is_behind_names_the_remedy() {
        let error =
            "Client creation error: Failed to create thread: Resource temporarily unavailable (11)";
        assert_eq!(described(error), format!("{TASKS} ({error})"));
        assert_eq!(is_exhausted("Failed to create socket: Too many open files"), Some(FILES));
        assert_eq!(is_exhausted("std::bad_alloc: Cannot allocate memory"), Some(MEMORY));
        assert_eq!(is_exhausted("No provider for SASL mechanism PLAIN"), None);
    }

    #[test]
    fn a_run_needs_more_for_each_server() {
        let (one, three) = (Need::of_run(1), Need::of_run(3));
        assert_eq!(three.descriptors - one.descriptors, 2 * DESCRIPTORS_OF_BROKER);
        assert_eq!(three.threads - one.threads, 2);
    }

    #[test]
    fn threads_that_are_there_are_counted_as_there() {
        assert!(spare_threads(20).is_ok());
    }
}
