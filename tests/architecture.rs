//! Imports point upstream only: error, device, bundle, model, sampler, pipeline, then the shells.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms in the order of the flow, and those beside it that a room may also use.
const ROOMS: [(&str, &[&str]); 12] = [
    ("error", &[]),
    ("device", &["error"]),
    ("kernels", &["error", "device"]),
    ("bundle", &["error", "device", "kernels", "model::config"]),
    ("model", &["error", "device", "bundle", "kernels"]),
    ("flops", &["model"]),
    ("sampler", &["error", "device", "model::config"]),
    ("pipeline", &["error", "device", "bundle", "kernels", "model", "sampler"]),
    ("wasm", &["error", "device", "bundle", "kernels", "model", "sampler", "pipeline"]),
    ("convert", &["error", "device", "bundle", "model", "sampler"]),
    ("train", &["error", "device", "bundle", "kernels", "model", "flops", "sampler", "pipeline", "convert"]),
    ("cli", &["error", "device", "bundle", "kernels", "model", "sampler", "pipeline", "convert", "train"]),
];

fn sources(path: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

fn room(path: &Path) -> String {
    let path = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
    path.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

#[test]
fn imports_point_upstream_only() {
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    assert!(files.len() > 20);
    let mut faults = Vec::new();
    for file in files {
        let room = room(&file);
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else { continue };
        let text = fs::read_to_string(&file).unwrap();
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        for part in shipped.split("crate::").skip(1) {
            let target: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
            let inside = target.starts_with(&format!("{room}::")) || target == room;
            let upstream = allowed.iter().any(|a| target == *a || target.starts_with(&format!("{a}::")));
            let re_export = target.starts_with("Error") || target.starts_with("Result") || target.is_empty();
            if !inside && !upstream && !re_export {
                faults.push(format!("{}: crate::{target}", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_file_says_what_it_does() {
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} does not open with a sentence", file.display());
        assert!(text.lines().count() <= 400, "{} is longer than 400 lines", file.display());
    }
}
