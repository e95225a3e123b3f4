//! Reads which file of a crate imports from which, re-exports followed, tests left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A crate's files, by module path: `kernels::webgpu::gemm`. The root is the empty path.
pub struct Crate {
    files: BTreeMap<String, File>,
}

struct File {
    text: String,
    /// Absolute paths that its code names, and those that it re-exports by name.
    paths: BTreeSet<String>,
    re_exports: BTreeMap<String, String>,
}

/// The first part of a module path.
pub fn room(module: impl AsRef<str>) -> String {
    module.as_ref().split("::").next().unwrap_or_default().to_owned()
}

impl Crate {
    pub fn read(root: &Path) -> Self {
        let mut texts = BTreeMap::new();
        collect(root, &mut Vec::new(), &mut texts);
        let modules: BTreeSet<String> = texts.keys().cloned().collect();
        let files =
            texts.into_iter().map(|(module, text)| (module.clone(), File::parse(&module, text, &modules))).collect();
        Self { files }
    }

    pub fn files(&self) -> impl Iterator<Item = &String> {
        self.files.keys()
    }

    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(module, file)| (module.as_str(), file.text.as_str()))
    }

    /// Pairs of a file and one that it imports from.
    pub fn imports(&self) -> BTreeSet<(String, String)> {
        let mut pairs = BTreeSet::new();
        for (module, file) in &self.files {
            for path in &file.paths {
                if let Some(target) = self.resolve(path, 0)
                    && target != *module
                {
                    pairs.insert((module.clone(), target));
                }
            }
        }
        pairs
    }

    /// The file in which what `path` names is defined.
    fn resolve(&self, path: &str, depth: usize) -> Option<String> {
        let parts: Vec<&str> = path.split("::").collect();
        let (module, rest) = (0..=parts.len()).rev().find_map(|n| {
            let module = parts[..n].join("::");
            self.files.contains_key(&module).then(|| (module, &parts[n..]))
        })?;
        let Some(item) = rest.first() else { return Some(module) };
        match self.files[&module].re_exports.get(*item) {
            Some(target) if depth < 8 => {
                let further = [&[target.as_str()], &rest[1..]].concat().join("::");
                self.resolve(&further, depth + 1)
            }
            _ => Some(module),
        }
    }
}

impl File {
    fn parse(module: &str, text: String, modules: &BTreeSet<String>) -> Self {
        let code = code(&text);
        let (mut paths, mut re_exports) = (BTreeSet::new(), BTreeMap::new());
        let mut rest = String::new();
        for statement in code.split_inclusive(';') {
            let start = statement.find("use ").filter(|&at| {
                let before = statement[..at].trim_end();
                before.is_empty()
                    || before.ends_with(['}', ']', ';'])
                    || before.ends_with("pub")
                    || before.ends_with(')')
            });
            let Some(at) = start else {
                rest.push_str(statement);
                continue;
            };
            rest.push_str(&statement[..at]);
            let is_public = statement[..at].trim_end().ends_with(['b', ')']);
            let tree = statement[at + 4..].trim_end_matches(';');
            for (path, name) in flatten(tree) {
                let Some(path) = absolute(module, &path, modules) else { continue };
                if is_public {
                    re_exports.insert(name, path.clone());
                } else {
                    paths.insert(path);
                }
            }
        }
        for path in spoken(&rest) {
            paths.extend(absolute(module, &path, modules));
        }
        Self { text, paths, re_exports }
    }
}

fn collect(dir: &Path, module: &mut Vec<String>, into: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            module.push(stem);
            collect(&path, module, into);
            module.pop();
        } else if path.extension().is_some_and(|e| e == "rs") {
            let mut parts = module.clone();
            if !["mod", "lib"].contains(&stem.as_str()) {
                parts.push(stem);
            }
            into.insert(parts.join("::"), fs::read_to_string(&path).unwrap());
        }
    }
}

/// Without comments, strings and what is compiled for tests alone.
fn code(text: &str) -> String {
    let shipped = text.split("\nmod tests {").next().unwrap_or_default();
    let mut code = String::new();
    for line in shipped.lines() {
        let line = line.split("//").next().unwrap_or_default();
        let mut quoted = false;
        code.extend(line.chars().filter(|&c| {
            quoted ^= c == '"';
            !quoted && c != '"'
        }));
        code.push('\n');
    }
    code
}

/// The paths of a `use` tree, each with the name that it gives.
fn flatten(tree: &str) -> Vec<(String, String)> {
    let tree = tree.trim();
    if let Some((prefix, inner)) = tree.split_once('{') {
        let inner = inner.trim_end().trim_end_matches('}');
        let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
        for (i, c) in inner.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    parts.push(&inner[start..i]);
                    start = i + 1;
                }
                _ => {}
            }
        }
        parts.push(&inner[start..]);
        return parts
            .into_iter()
            .filter(|part| !part.trim().is_empty())
            .flat_map(flatten)
            .map(|(path, name)| (format!("{prefix}{path}").trim_end_matches("::self").to_owned(), name))
            .collect();
    }
    let (path, name) = tree.split_once(" as ").unwrap_or((tree, tree.rsplit("::").next().unwrap_or(tree)));
    vec![(path.trim().to_owned(), name.trim().to_owned())]
}

/// Paths in running code.
fn spoken(code: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    code.split(|c| !is_path(c))
        .filter(|word| word.contains("::"))
        .map(|word| word.trim_end_matches(':').to_owned())
        .collect()
}

/// From the crate's root; None for other crates.
fn absolute(module: &str, path: &str, modules: &BTreeSet<String>) -> Option<String> {
    let mut at: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
    let mut parts = path.split("::").peekable();
    match parts.peek().copied()? {
        "crate" => {
            parts.next();
            at.clear();
        }
        "self" => {
            parts.next();
        }
        "super" => {
            while parts.next_if_eq(&"super").is_some() {
                at.pop();
            }
        }
        // A module below this one.
        first => {
            let child = [&at[..], &[first]].concat().join("::");
            if !modules.contains(&child) {
                return None;
            }
        }
    }
    at.extend(parts);
    Some(at.join("::"))
}

/// Files that import each other, directly or by way of others: one list a circle.
pub fn circles(imports: &BTreeSet<(String, String)>) -> Vec<Vec<String>> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in imports {
        next.entry(from).or_default().push(to);
    }
    let reachable = |start: &str| {
        let (mut seen, mut queue) = (BTreeSet::new(), vec![start.to_owned()]);
        while let Some(at) = queue.pop() {
            for &to in next.get(at.as_str()).into_iter().flatten() {
                if seen.insert(to.to_owned()) {
                    queue.push(to.to_owned());
                }
            }
        }
        seen
    };
    let all: BTreeMap<&str, BTreeSet<String>> = next.keys().map(|&from| (from, reachable(from))).collect();
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for (from, reach) in &all {
        if reach.contains(*from) {
            let circle = reach.iter().filter(|to| all.get(to.as_str()).is_some_and(|back| back.contains(*from)));
            found.insert(circle.cloned().collect());
        }
    }
    found.into_iter().collect()
}
