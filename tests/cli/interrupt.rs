//! Ctrl-C in the middle of a conversion leaves nothing behind.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::*;

/// A transformer of 8 heads and 28 layers, some 600 MB, as a sparse file of zeros.
fn large_checkpoint(path: &std::path::Path) {
    let (d, layers) = (576usize, 28);
    let mut shapes: Vec<(String, Vec<usize>)> = vec![("scale_shift_table".into(), vec![2, d])];
    let mut linear = |name: String, shape: &[usize]| {
        shapes.push((format!("{name}.weight"), shape.to_vec()));
        shapes.push((format!("{name}.bias"), vec![shape[0]]));
    };
    linear("pos_embed.proj".into(), &[d, 4, 2, 2]);
    linear("caption_projection.linear_1".into(), &[d, 32]);
    linear("caption_projection.linear_2".into(), &[d, d]);
    linear("adaln_single.emb.timestep_embedder.linear_1".into(), &[d, 256]);
    linear("adaln_single.emb.timestep_embedder.linear_2".into(), &[d, d]);
    linear("adaln_single.linear".into(), &[6 * d, d]);
    linear("proj_out".into(), &[32, d]);
    for n in 0..layers {
        for attention in ["attn1", "attn2"] {
            for projection in ["to_q", "to_k", "to_v", "to_out.0"] {
                linear(format!("transformer_blocks.{n}.{attention}.{projection}"), &[d, d]);
            }
        }
        linear(format!("transformer_blocks.{n}.ff.net.0.proj"), &[4 * d, d]);
        linear(format!("transformer_blocks.{n}.ff.net.2"), &[d, 4 * d]);
    }
    shapes.extend((0..layers).map(|n| (format!("transformer_blocks.{n}.scale_shift_table"), vec![6, d])));
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape) in shapes {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        header.insert(name, json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }));
    }
    let header = serde_json::Value::Object(header).to_string();
    std::fs::write(path, [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len((8 + header.len() + end) as u64).unwrap();
}

#[test]
fn nothing_is_left_behind() {
    let scratch = Scratch::new();
    large_checkpoint(&scratch.path("m.safetensors"));
    let child = diffcr()
        .args(["convert", "--sample-size", "64", "--chunk-mib", "1", "--out"])
        .arg(scratch.path("out"))
        .arg(scratch.path("m.safetensors"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let writing = || {
        let temporary = scratch.entries().into_iter().find(|name| name.ends_with(".tmp"));
        temporary.is_some_and(|name| scratch.path(&name).read_dir().is_ok_and(|mut files| files.next().is_some()))
    };
    while !writing() {
        assert!(started.elapsed() < Duration::from_secs(60), "no chunk was written");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "it was not interrupted in time");
    assert_eq!(error_line(&output), "error: cancelled");
    assert_eq!(scratch.entries(), ["m.safetensors"]);
}
