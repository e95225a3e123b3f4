//! Writes `www/lib/contract.ts`, the TypeScript side of what Rust and JavaScript say to each other, and checks that it is current.

use std::fmt::Write;
use std::path::Path;

use serde_json::{json, to_string};
use ts_rs::{Config, TS};

use crate::bundle::Manifest;
use crate::bundle::config::{
    BetaSchedule, FeedForward, KvCompression, Prediction, SchedulerConfig, SolverKind, TextEncoderConfig,
    TimestepSpacing, TinyVaeConfig, TokenizerConfig, TransformerConfig, VaeConfig,
};
use crate::bundle::manifest::{FileEntry, Part, Parts};
use crate::bundle::routing::{Preset, Routing, ScoreScale};
use crate::device::{AdapterKind, Backend, DeviceLimits, DeviceProfile};
use crate::error::BROWSER_CODES;
use crate::model::ratios::Compression;
use crate::pipeline::GenerateOptions;
use crate::pipeline::budget::{Budget, BudgetRequest};
use crate::pipeline::generate::StepReport;
use crate::pipeline::info::{Defaults, ManifestSummary, ModelInfo};
use crate::pipeline::inpaint::{InpaintSettings, MaskAware};
use crate::pipeline::limits::{MAX_SIDE, OptionRange, RANGES};
use crate::pipeline::mask_aware::MaskAwareOptions;
use crate::pipeline::options::{Settings, Values};
use crate::pipeline::picture::MaskFrom;
use crate::pipeline::record::{RoutedStep, RoutingRecord};
use crate::pipeline::residency::TextEncoderMode;
use crate::pipeline::warning::{Warning, WarningCode};

const HEAD: &str = "/**
 * What Rust and TypeScript say to each other. Written from the Rust types by `make contract`; a test of the crate fails where it is not
 * current.
 */
";

/// A type's declaration with its documentation, every property readonly.
fn declaration<T: TS + 'static>(text: &mut String) {
    let config = Config::default().with_large_int("number");
    let docs = T::docs().unwrap_or_default();
    let declaration = T::decl(&config);
    let _ = writeln!(text, "\n{}export {}", docs, readonly(&declaration));
}

/// `{ a: T, /** … */ b?: U, }` with a property a line, each readonly.
fn readonly(declaration: &str) -> String {
    let Some((head, body)) =
        declaration.split_once("= {").filter(|_| !declaration.contains("} |") && !declaration.contains("| {"))
    else {
        return arrays(declaration);
    };
    let body = body.trim_end().trim_end_matches(';').trim_end_matches('}');
    let mut lines = vec![format!("{head}= {{")];
    let (mut depth, mut property, mut in_comment) = (0, String::new(), false);
    let mut characters = body.chars().peekable();
    while let Some(c) = characters.next() {
        if c == '/' && characters.peek() == Some(&'*') {
            in_comment = true;
        }
        if !in_comment {
            match c {
                '{' | '<' | '[' | '(' => depth += 1,
                '}' | '>' | ']' | ')' => depth -= 1,
                ',' if depth == 0 => {
                    push_property(&mut lines, &property);
                    property.clear();
                    continue;
                }
                _ => {}
            }
        }
        property.push(c);
        if property.ends_with("*/") {
            in_comment = false;
        }
    }
    push_property(&mut lines, &property);
    lines.push("};".into());
    lines.join("\n")
}

fn push_property(lines: &mut Vec<String>, property: &str) {
    let property = property.trim();
    if property.is_empty() {
        return;
    }
    let (docs, property) = match property.rsplit_once("*/") {
        Some((docs, property)) => (Some(docs), property.trim()),
        None => (None, property),
    };
    if let Some(docs) = docs {
        let words: Vec<&str> = docs
            .lines()
            .map(|l| l.trim().trim_start_matches("/**").trim_start_matches('*').trim())
            .filter(|l| !l.is_empty())
            .collect();
        lines.push(format!("  /** {} */", words.join(" ")));
    }
    lines.push(format!("  readonly {};", arrays(property).replacen(": [", ": readonly [", 1)));
}

/// `Array<T>` as `readonly T[]`, innermost first.
fn arrays(text: &str) -> String {
    let mut text = text.to_owned();
    while let Some(start) =
        text.rfind("Array<").filter(|&at| !text[..at].ends_with("Float32") && !text[..at].ends_with("Readonly"))
    {
        let inner = &text[start + 6..];
        let mut depth = 1;
        let end = inner.char_indices().find(|(_, c)| {
            depth += match c {
                '<' => 1,
                '>' => -1,
                _ => 0,
            };
            depth == 0
        });
        let Some((end, _)) = end else { break };
        let element = &inner[..end];
        let element = if element.contains([' ', '|']) { format!("({element})") } else { element.to_owned() };
        text = format!("{}readonly {element}[]{}", &text[..start], &inner[end + 1..]);
    }
    text
}

/// The names of a type's properties.
fn keys<T: TS + 'static>(text: &mut String, name: &str, docs: &str) {
    let declaration = readonly(&T::decl(&Config::default()));
    let property = |line: &str| {
        let (name, _) = line.trim().strip_prefix("readonly ")?.split_once(':')?;
        Some(format!("'{}'", name.trim_end_matches('?')))
    };
    let names: Vec<String> = declaration.lines().filter_map(property).collect();
    assert!(!names.is_empty(), "{name}");
    let of = T::name(&Config::default());
    let _ = writeln!(
        text,
        "\n/** {docs} */\nexport const {name} = [{}] as const satisfies readonly (keyof {of})[];",
        names.join(", ")
    );
}

fn contract() -> String {
    let mut text = HEAD.to_owned();
    let _ = writeln!(text, "\n/** Every code a `DiffCRError` can carry. */\nexport const CODES = [");
    for (code, meaning) in BROWSER_CODES {
        let _ = writeln!(text, "  /** {meaning} */\n  '{code}',");
    }
    let _ = writeln!(text, "] as const;\n\nexport type Code = (typeof CODES)[number];");
    declaration::<Backend>(&mut text);
    declaration::<AdapterKind>(&mut text);
    declaration::<DeviceLimits>(&mut text);
    declaration::<DeviceProfile>(&mut text);
    declaration::<Part>(&mut text);
    declaration::<FileEntry>(&mut text);
    declaration::<TextEncoderMode>(&mut text);
    declaration::<ManifestSummary>(&mut text);
    declaration::<TransformerConfig>(&mut text);
    declaration::<FeedForward>(&mut text);
    declaration::<TextEncoderConfig>(&mut text);
    declaration::<TokenizerConfig>(&mut text);
    declaration::<VaeConfig>(&mut text);
    declaration::<TinyVaeConfig>(&mut text);
    declaration::<Prediction>(&mut text);
    declaration::<BetaSchedule>(&mut text);
    declaration::<TimestepSpacing>(&mut text);
    declaration::<KvCompression>(&mut text);
    declaration::<SolverKind>(&mut text);
    declaration::<SchedulerConfig>(&mut text);
    declaration::<Parts>(&mut text);
    declaration::<ScoreScale>(&mut text);
    declaration::<Preset>(&mut text);
    declaration::<Routing>(&mut text);
    declaration::<Compression>(&mut text);
    declaration::<Defaults>(&mut text);
    declaration::<Budget>(&mut text);
    declaration::<ModelInfo>(&mut text);
    declaration::<Values>(&mut text);
    declaration::<GenerateOptions>(&mut text);
    declaration::<MaskAwareOptions>(&mut text);
    declaration::<MaskAware>(&mut text);
    declaration::<MaskFrom>(&mut text);
    declaration::<InpaintSettings>(&mut text);
    declaration::<Settings>(&mut text);
    declaration::<WarningCode>(&mut text);
    declaration::<Warning>(&mut text);
    declaration::<StepReport>(&mut text);
    declaration::<RoutedStep>(&mut text);
    declaration::<RoutingRecord>(&mut text);
    declaration::<OptionRange>(&mut text);
    let _ = writeln!(text, "\n/** Side of a picture in pixels, at most. */\nexport const MAX_SIDE = {MAX_SIDE};");
    let _ = writeln!(text, "\n/** What the numbers among the options may be. */\nexport const RANGES = {{");
    for range in RANGES {
        let json = to_string(&range).unwrap();
        let _ = writeln!(text, "  {}: {json},", range.name);
    }
    let _ = writeln!(text, "}} as const satisfies Record<string, OptionRange>;");
    keys::<GenerateOptions>(&mut text, "REQUEST_KEYS", "Options of a run.");
    keys::<InpaintSettings>(&mut text, "INPAINT_KEYS", "Options of an inpainting, beside those of its run.");
    let solvers: Vec<String> = SolverKind::ALL.iter().map(|solver| to_string(solver).unwrap()).collect();
    let _ =
        writeln!(text, "\nexport const SOLVERS = [{}] as const satisfies readonly SolverKind[];", solvers.join(", "));
    text
}

/// The tables of the package's README: codes, and what the numbers among the options may be.
fn tables() -> [(&'static str, String); 2] {
    let rows = BROWSER_CODES.iter().map(|(code, meaning)| format!("| `{code}` | {meaning} |\n"));
    let codes = format!("| code | |\n|---|---|\n{}", rows.collect::<String>());
    let rows = RANGES.iter().map(|r| format!("| `{}` | {} | {} … {} |\n", r.name, r.default, r.min, r.max));
    let ranges = format!("| number | default | |\n|---|---|---|\n{}", rows.collect::<String>());
    [("codes", codes), ("ranges", ranges)]
}

/// `text` with what stands between the markers of each table replaced by the table.
fn with_tables(text: &str) -> String {
    tables().iter().fold(text.to_owned(), |text, (name, table)| {
        let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let (before, rest) = text.split_once(&open).unwrap();
        let (_, after) = rest.split_once(&close).unwrap();
        format!("{before}{open}\n{table}\n{close}{after}")
    })
}

/// The file at `path` must be what `current` makes of it; `WRITE_CONTRACT=1` makes it so.
fn is_current(path: &str, current: impl Fn(&str) -> String) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let current = current(&found);
    if std::env::var_os("WRITE_CONTRACT").is_some() {
        std::fs::write(&file, current).unwrap();
    } else {
        assert!(found == current, "{path} is not what the Rust types say: run `make contract`");
    }
}

#[test]
fn the_contract_in_typescript_is_current() {
    is_current("www/lib/contract.ts", |_| contract());
}

/// What a budget is for pictures of several sizes, of every model that TypeScript has to tell the needs of.
fn budgets() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cases = Vec::new();
    for folder in ["www/public/models/scenes-q4", "www/public/models/scenes", "tests/fixtures/scenes/bundle"] {
        let text = std::fs::read_to_string(root.join(folder).join("diffcr.json")).unwrap();
        let manifest = Manifest::parse(&text).unwrap();
        let own = BudgetRequest::usual(&manifest);
        for request in [own, BudgetRequest { width: 2048, height: 1024, batch: 1 }] {
            for backend in [Backend::Cpu, Backend::Gpu] {
                let BudgetRequest { width, height, batch } = request;
                let budget = Budget::new(&manifest, request, backend);
                let backend = backend.name();
                let request = json!({ "width": width, "height": height, "batch": batch });
                cases.push(json!({ "folder": folder, "backend": backend, "request": request, "budget": budget }));
            }
        }
    }
    serde_json::to_string_pretty(&cases).unwrap() + "\n"
}

#[test]
fn the_budgets_that_typescript_is_held_to_are_current() {
    is_current("www/lib/testing/budgets.json", |_| budgets());
}

#[test]
fn the_tables_of_the_package_are_current() {
    is_current("pkg/README.md", with_tables);
}

#[test]
fn every_code_of_the_engine_is_listed_but_those_of_the_command_line() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/error.rs")).unwrap();
    let codes = text.lines().filter_map(|line| line.trim().split_once("=> \"")?.1.strip_suffix("\","));
    for code in codes.filter(|code| !["CANCELLED", "IO"].contains(code)) {
        assert!(BROWSER_CODES.iter().any(|(known, _)| *known == code), "{code}");
    }
}
