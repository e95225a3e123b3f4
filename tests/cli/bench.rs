//! `diffcr bench`: the cost of a step, by share and way of skipping.

use serde_json::Value;

use crate::support::*;

fn rows(bundle: &str) -> (Value, Vec<Value>) {
    let output = diffcr()
        .args(["--json", "bench", bundle, "--steps", "2", "--compression", "0.3,0.5", "--caption", "6"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap().clone();
    (report, rows)
}

fn of<'a>(rows: &'a [Value], field: &str) -> Vec<&'a Value> {
    rows.iter().map(|row| &row[field]).collect()
}

#[test]
fn a_routed_model_is_measured_dense_and_at_every_share_in_three_ways() {
    let (report, rows) = rows(concat!(env!("CARGO_MANIFEST_DIR"), "/models/scenes-lt50"));
    assert_eq!(report["routed"], true);
    assert_eq!(of(&rows, "spread"), ["dense", "LT", "L", "MoD", "LT", "L", "MoD"]);
    let gflops: Vec<f64> = of(&rows, "gflops").iter().map(|v| v.as_f64().unwrap()).collect();
    let keep: Vec<f64> = of(&rows, "keep").iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!(keep[0], 1.0);
    for (i, share) in [(1, 0.3), (2, 0.3), (3, 0.3), (4, 0.5), (5, 0.5), (6, 0.5)] {
        assert!((1.0 - keep[i] - share).abs() < 0.1, "{keep:?}");
        assert!(gflops[i] < gflops[0] * (1.0 - 0.5 * share), "{gflops:?}");
    }
    assert!((keep[3] - 0.7).abs() < 1e-9 && (keep[6] - 0.5).abs() < 1e-9, "MoD keeps as many in every layer: {keep:?}");
    assert!(rows.iter().all(|row| row["stepMs"].as_f64().unwrap() > 0.0 && row["peakBytes"].as_u64().unwrap() > 0));
}

#[test]
fn a_dense_model_is_measured_with_routers_that_are_made_up() {
    let (report, rows) = rows(concat!(env!("CARGO_MANIFEST_DIR"), "/models/scenes-dense"));
    assert_eq!(report["routed"], false);
    assert_eq!(of(&rows, "spread"), ["dense", "MoD", "MoD"]);
    let bad = diffcr().args(["bench", "/nowhere"]).output().unwrap();
    assert!(error_line(&bad).contains("/nowhere"));
}
