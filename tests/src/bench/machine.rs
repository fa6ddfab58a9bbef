//! Facts about the machine that numbers depend on.

use std::fs::read_to_string;

/// The machine in one line: cores, processor, memory, kernel.
#[must_use]
pub fn facts() -> String {
    let field = |file: &str, key: &str| {
        let text = read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).map(str::to_owned);
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
            .unwrap_or_else(|| "unknown".to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = field("/proc/meminfo", "MemTotal");
    let kib = memory.trim_end_matches(" kB").parse::<u64>().unwrap_or(0);
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processor = field("/proc/cpuinfo", "model name");
    format!(
        "{cores} cores ({processor}), {} GiB of memory, Linux {}",
        kib.div_ceil(1 << 20),
        kernel.trim()
    )
}
