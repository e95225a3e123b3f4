//! How much memory this process has taken.

/// The process's largest resident size, where the system tells.
pub fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// Has [`peak_mib`] begin anew, where the system lets it.
pub fn forget_peak() {
    // Where it does not, the peak is that of the whole process.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Bytes that programs can still take without others being swapped out, where the system tells.
pub fn available() -> Option<u64> {
    let all = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = all.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Gives memory that was freed back to the system, where the allocator would keep it: after a model was turned into another form.
pub fn give_back() {
    #[cfg(all(feature = "train", target_os = "linux", target_env = "gnu"))]
    // SAFETY: it touches nothing but the allocator's own free pages, and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
