//! What the command line does where its surroundings fail: closed pipes, full disks, folders that another process holds.

use std::fs::{File, OpenOptions};
use std::process::Stdio;

use crate::support::*;

/// A bundle to look at.
fn bundle() -> std::path::PathBuf {
    fixture("scenes/bundle")
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    for command in ["verify", "inspect"] {
        for option in [&[][..], &["--json"]] {
            let mut child = diffcr()
                .arg(command)
                .arg(bundle())
                .args(option)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            drop(child.stdout.take());
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{command}: {}", stderr(&output));
            assert!(output.stderr.is_empty(), "{command}: {}", stderr(&output));
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_one_line() {
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = diffcr().arg("verify").arg(bundle()).stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error_line(&output).starts_with("error: stdout: "), "{}", stderr(&output));
    // Where there is no place to complain either, the status says it.
    let output = diffcr().args(["verify", "/none", "--json"]).stdout(full()).stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
#[cfg(unix)]
fn names_in_a_manifest_are_no_commands() {
    let scratch = Scratch::new();
    let copy = scratch.path("bundle");
    copy_folder(&bundle(), &copy);
    edit_json(&copy.join("diffcr.json"), |json| json["name"] = "\x1b]0;x\x07\u{9b}31m".into());
    for command in ["verify", "inspect"] {
        for option in [&[][..], &["--json"]] {
            let output = diffcr().arg(command).arg(&copy).args(option).output().unwrap();
            assert!(output.status.success(), "{}", stderr(&output));
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{command}: {text:?}");
        }
    }
}

#[test]
#[cfg(feature = "train")]
fn a_folder_that_another_process_trains_in() {
    let scratch = Scratch::new();
    let work = scratch.path("work");
    std::fs::create_dir(&work).unwrap();
    let lock = File::create(work.join("lock")).unwrap();
    lock.lock().unwrap();
    let (tokenizer, out) = (fixture("scenes/bundle/tokenizer.json"), scratch.path("out"));
    let text = format!(
        "out = {out:?}\nwork = {work:?}\n[[stage]]\nsize = 64\nbatch = 4\nsteps = 1\nlr = 1e-3\n[model]\ntokenizer = {tokenizer:?}\n"
    );
    std::fs::write(scratch.path("run.toml"), text).unwrap();
    let output = diffcr().args(["train", "base"]).arg(scratch.path("run.toml")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = error_line(&output);
    assert!(error.starts_with("error: work: another process is training in "), "{error}");
}
