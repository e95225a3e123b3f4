//! The shape of `src`: imports point upstream, files import in no circle, every room is described, and every file says what it does.

mod imports;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use imports::{Crate, circles};

/// The rooms in the order of the flow, each with those that it may import from.
const ROOMS: [(&str, &[&str]); 17] = [
    ("error", &[]),
    ("files", &["error"]),
    ("device", &["error"]),
    ("kernels", &["error", "device"]),
    ("bundle", &["error", "files", "device", "kernels"]),
    ("model", &["error", "device", "bundle", "kernels"]),
    ("flops", &["bundle", "model"]),
    ("sampler", &["error", "device", "bundle"]),
    ("pipeline", &["error", "files", "device", "bundle", "kernels", "model", "flops", "sampler"]),
    ("wasm", &["error", "device", "bundle", "kernels", "model", "sampler", "pipeline"]),
    ("contract", &["error", "device", "bundle", "model", "pipeline"]),
    ("convert", &["error", "files", "device", "bundle", "model", "sampler"]),
    ("export", &["error", "files", "bundle", "convert"]),
    ("data", &["error", "files"]),
    ("eval", &["error", "files", "device", "bundle", "model", "flops", "sampler", "pipeline", "data"]),
    (
        "train",
        &[
            "error", "files", "device", "bundle", "kernels", "model", "flops", "sampler", "pipeline", "convert",
            "data", "eval",
        ],
    ),
    (
        "cli",
        &[
            "error", "files", "device", "bundle", "kernels", "model", "flops", "sampler", "pipeline", "convert",
            "export", "data", "train", "eval",
        ],
    ),
];

fn source() -> Crate {
    Crate::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[test]
fn imports_point_upstream_only() {
    let source = source();
    assert!(source.files().count() > 20);
    let mut faults = Vec::new();
    for (from, to) in source.imports() {
        let (room, target) = (imports::room(&from), imports::room(&to));
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else { continue };
        if target != room && !target.is_empty() && !allowed.contains(&target.as_str()) {
            faults.push(format!("{from} imports {to}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_import_in_no_circle() {
    let circles = circles(&source().imports());
    let text: Vec<_> = circles.iter().map(|circle| circle.join(" -> ")).collect();
    assert!(circles.is_empty(), "{} circles:\n{}", circles.len(), text.join("\n"));
}

/// Every room of `src` is in the list above, and in the table of ARCHITECTURE.md.
#[test]
fn every_room_is_described() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    let described: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("| `")?.split(['/', '.', '`']).next()).collect();
    let shells = ["lib", "main"];
    let source = source();
    for room in
        source.files().map(imports::room).filter(|room| !shells.contains(&room.as_str())).collect::<BTreeSet<_>>()
    {
        if room.is_empty() {
            continue;
        }
        assert!(ROOMS.iter().any(|(name, _)| *name == room), "the room `{room}` is not in the architecture test");
        assert!(described.contains(room.as_str()), "the room `{room}` is not in ARCHITECTURE.md's table");
    }
}

#[test]
fn every_file_says_what_it_does() {
    for (module, text) in source().texts() {
        assert!(text.starts_with("//! "), "{module} does not open with a sentence");
        assert!(text.lines().count() <= 400, "{module} is longer than 400 lines");
    }
}
