//! What is no file is not read and not replaced; what is written is whole, in its own name, with nothing beside it.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use super::*;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_no_file_is_neither_read_nor_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, socket) = (dir.path().join("folder"), dir.path().join("socket"));
    std::fs::create_dir(&folder).unwrap();
    let _listener = UnixListener::bind(&socket).unwrap();
    for (path, what) in [(&*folder, "a folder"), (&*socket, "a socket"), (Path::new("/dev/null"), "a device")] {
        for error in [read(path).unwrap_err(), read_text(path).unwrap_err(), open(path).map(drop).unwrap_err()] {
            assert_eq!(error.to_string(), format!("{}: it is {what}, not a file", path.display()));
        }
        for error in [check_target("latents", path).unwrap_err(), replace(path, b"x").unwrap_err()] {
            assert_eq!(error.code(), "INVALID_INPUT");
            assert!(
                error.to_string().ends_with(&format!("{} is {what}, which is not replaced by a file", path.display()))
            );
        }
    }
    assert_eq!(names(dir.path()), ["folder", "socket"]);
    assert_eq!(check_target("out", Path::new("..")).unwrap_err().code(), "INVALID_INPUT");
    assert_eq!(check_target("out", &dir.path().join("none/x.png")).unwrap_err().code(), "IO");
}

#[test]
fn writing_follows_no_link_and_leaves_nothing_beside() {
    let dir = tempfile::tempdir().unwrap();
    let (victim, out) = (dir.path().join("victim"), dir.path().join("out.png"));
    std::fs::write(&victim, "mine").unwrap();
    symlink(&victim, dir.path().join("out.png.tmp")).unwrap();
    symlink(&victim, &out).unwrap();
    replace(&out, b"picture").unwrap();
    assert_eq!(std::fs::read(&victim).unwrap(), b"mine");
    assert_eq!(std::fs::read(&out).unwrap(), b"picture");
    let failed = put(&out, |_| Err(std::io::Error::other("full"))).unwrap_err();
    assert_eq!(failed.to_string(), format!("{}: full", out.display()));
    assert_eq!(std::fs::read(&out).unwrap(), b"picture");
    assert_eq!(names(dir.path()), ["out.png", "out.png.tmp", "victim"]);
    std::fs::write(dir.path().join("plain"), "").unwrap();
    let mode = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode("out.png"), mode("plain"));
}

#[test]
fn many_write_the_same_file_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    std::thread::scope(|scope| {
        (0..16).for_each(|i| {
            drop(scope.spawn({
                let out = &out;
                move || replace(out, &[i; 1000]).unwrap()
            }))
        });
    });
    let bytes = std::fs::read(&out).unwrap();
    assert!(bytes.len() == 1000 && bytes.iter().all(|b| *b == bytes[0]));
    assert_eq!(names(dir.path()), ["out"]);
}
