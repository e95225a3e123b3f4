//! What there is under a name, where it is no regular file.

use std::fs::Metadata;

/// What it is called; nothing of a regular file.
pub fn kind(metadata: &Metadata) -> Option<&'static str> {
    if metadata.is_file() {
        return None;
    }
    if metadata.is_dir() {
        return Some("a folder");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let of = metadata.file_type();
        if of.is_fifo() {
            return Some("a pipe");
        }
        if of.is_socket() {
            return Some("a socket");
        }
    }
    Some("a device")
}
