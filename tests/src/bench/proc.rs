//! What Linux tells about processes: CPU time, memory, and whether the machine is quiet.

use std::error::Error;
use std::io;
use std::process::Child;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How long the machine has to be quiet before a run.
const QUIET_FOR: Duration = Duration::from_secs(1);
/// How long to wait for that.
const QUIET_WAIT: Duration = Duration::from_secs(30);

/// CPU time (user and system) of all threads of a process that runs, to the nanosecond. Threads
/// that have ended do not count.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub fn cpu(pid: u32) -> Outcome<Duration> {
    let mut nanos = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the reading.
        let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanos += text.split_whitespace().next().unwrap_or("0").parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Bytes of memory that a process has resident.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub fn resident(pid: u32) -> Outcome<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// CPU time (user and system) of all children that have ended and been waited for.
///
/// # Errors
/// As the system gives them.
pub fn children_cpu() -> io::Result<Duration> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the pointer is to memory of the right type, which the call fills if it answers 0.
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        usage.assume_init()
    };
    let time = |t: libc::timeval| {
        let (seconds, micros) = (t.tv_sec.cast_unsigned(), t.tv_usec.cast_unsigned());
        Duration::from_secs(seconds) + Duration::from_micros(micros)
    };
    Ok(time(usage.ru_utime) + time(usage.ru_stime))
}

/// A process that is ended when this is dropped.
#[derive(Debug)]
pub struct Running(pub Child);

impl Running {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; there is nothing to do about any other failure.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until every core has been idle for nine tenths of a second's time. `false`: it did not
/// come to that within half a minute.
///
/// # Errors
/// There is no `/proc/stat`.
pub fn wait_for_quiet() -> Outcome<bool> {
    let end = Instant::now() + QUIET_WAIT;
    let mut before = idle_times()?;
    while Instant::now() < end {
        std::thread::sleep(QUIET_FOR);
        let after = idle_times()?;
        let is_idle =
            |(old, new): (&(u64, u64), &(u64, u64))| 10 * (new.0 - old.0) >= 9 * (new.1 - old.1);
        if before.iter().zip(&after).all(is_idle) {
            return Ok(true);
        }
        before = after;
    }
    Ok(false)
}

/// Of each core: ticks idle, ticks in all.
fn idle_times() -> Outcome<Vec<(u64, u64)>> {
    let text = std::fs::read_to_string("/proc/stat")?;
    let is_core = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    let core = |line: &str| -> Outcome<(u64, u64)> {
        let ticks: Vec<u64> =
            line.split_whitespace().skip(1).take(8).map(str::parse).collect::<Result<_, _>>()?;
        let idle = ticks.get(3).zip(ticks.get(4)).map(|(idle, io)| idle + io);
        Ok((idle.ok_or("a short line in /proc/stat")?, ticks.iter().sum()))
    };
    text.lines().filter(is_core).map(core).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_uses_time() {
        let me = std::process::id();
        assert!(resident(me).unwrap() > 100_000);
        assert!(cpu(me).unwrap() > Duration::ZERO);
        assert!(!idle_times().unwrap().is_empty());
    }

    #[test]
    fn a_child_counts_once_it_has_been_waited_for() {
        let before = children_cpu().unwrap();
        let child = std::process::Command::new("true").spawn().unwrap();
        drop(Running(child));
        assert!(children_cpu().unwrap() >= before);
    }
}
