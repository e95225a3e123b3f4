//! The native example, as a user runs it.

use std::process::Command;

use crate::support::Scratch;

#[test]
fn the_native_example_draws_a_picture() {
    let scratch = Scratch::new();
    let out = scratch.path("star.png");
    // Cargo builds the examples with the tests, beside their folder.
    let tests = std::env::current_exe().unwrap();
    let example = tests.parent().unwrap().parent().unwrap().join("examples/generate");
    let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/www/public/models/scenes-q4");
    let output = Command::new(example).args([bundle.as_ref(), out.as_os_str()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let picture = image::open(&out).unwrap().to_rgb8();
    assert_eq!(picture.dimensions(), (128, 128));
    let [red, _, blue] = picture.get_pixel(64, 64).0;
    assert!(red > blue, "the star is in the middle");
}
