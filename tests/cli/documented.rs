//! What `docs/models.md` says converts is held by the tests that it names.

use std::path::Path;

#[test]
fn every_row_of_what_converts_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/models.md")).unwrap();
    let rows: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("| source |")).skip(2).collect();
    let rows: Vec<&str> = rows.into_iter().take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 20, "{}", rows.len());
    for row in rows {
        let held = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let tests = held.split('`').filter(|quoted| quoted.contains("::"));
        let mut named = 0;
        for test in tests {
            let (module, name) = test.split_once("::").unwrap();
            let found = ["cli", "parity"].iter().any(|suite| {
                let file = root.join("tests").join(suite).join(format!("{module}.rs"));
                std::fs::read_to_string(file).is_ok_and(|source| source.contains(&format!("#[test]\nfn {name}()")))
            });
            assert!(found, "no test is called {test}");
            named += 1;
        }
        assert!(named > 0, "no test holds this row: {row}");
    }
}
