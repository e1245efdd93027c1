//! The memory of this process, as the system tells it.

/// Resident and virtual memory in MiB; nothing where the system does not say.
#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "a file of the kernel about this process, not of the database")]
pub(crate) fn megabytes() -> Option<(i32, i32)> {
    let status = std::fs::read("/proc/self/status").ok()?;
    let status = String::from_utf8_lossy(&status);
    let field = |name: &str| -> Option<i32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        i32::try_from(kilobytes >> 10).ok()
    };
    Some((field("VmRSS:")?, field("VmSize:")?))
}

/// Resident and virtual memory in MiB; nothing where the system does not say.
#[cfg(not(target_os = "linux"))]
pub(crate) fn megabytes() -> Option<(i32, i32)> {
    None
}
