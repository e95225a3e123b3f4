//! Templates of WGSL: files that an editor reads as WGSL, with names to fill in and lines to repeat or to leave out.
//!
//! ```wgsl
//! @group(0) @binding(0) var<storage, read> x: array<$element>;  // `$name` or `${name}` is replaced by a value
//! //#for i in TILE                                               // lines repeated, with `$i` counting from 0
//! let a$i = x[row + ${i}u];
//! //#end
//! //#if scaled                                                   // or `//#if !scaled`, with an `//#else` if need be
//! let s = scale(row);
//! //#end
//! ```
//!
//! Numbers that Rust and WGSL share are WGSL constants, written in front of the text. A name that nobody filled in stays as it
//! is, which is no WGSL: the test of all variants finds it.

use core::fmt::Display;
use core::iter::Peekable;
use core::str::Lines;

/// A WGSL file with what is to be filled in.
#[derive(Debug, Clone, Default)]
pub struct Template {
    text: String,
    enable: &'static str,
    constants: Vec<(&'static str, usize)>,
    values: Vec<(String, String)>,
    conditions: Vec<(&'static str, bool)>,
}

impl Template {
    /// Of one or several files, one after the other.
    pub fn new(files: &[&str]) -> Self {
        Self { text: files.join("\n"), ..Self::default() }
    }

    /// The directive that the shader opens with, or none.
    pub fn enable(mut self, directive: &'static str) -> Self {
        self.enable = directive;
        self
    }

    /// `const NAME = …u;`, which `//#for` also counts to.
    pub fn constant(mut self, name: &'static str, value: usize) -> Self {
        self.constants.push((name, value));
        self
    }

    /// Text for `$name`.
    pub fn set(mut self, name: &str, value: impl Display) -> Self {
        self.values.push((name.into(), value.to_string()));
        self
    }

    /// What `//#if name` asks.
    pub fn when(mut self, name: &'static str, is_true: bool) -> Self {
        self.conditions.push((name, is_true));
        self
    }

    pub fn render(&self) -> String {
        let mut source = String::new();
        if !self.enable.is_empty() {
            source.push_str(self.enable);
            source.push('\n');
        }
        for (name, value) in &self.constants {
            source.push_str(&format!("const {name} = {value}u;\n"));
        }
        self.lines(&mut self.text.lines().peekable(), &[], true, &mut source);
        source
    }

    /// Lines up to the `//#end` of a block, or the last; written unless they are left out. Says whether they ended in an `//#else`.
    fn lines(&self, lines: &mut Peekable<Lines>, counters: &[(&str, usize)], written: bool, out: &mut String) -> bool {
        while let Some(line) = lines.next() {
            let Some(directive) = line.trim_start().strip_prefix("//#") else {
                if written {
                    self.fill(line, counters, out);
                    out.push('\n');
                }
                continue;
            };
            let words: Vec<&str> = directive.split_whitespace().collect();
            match words.as_slice() {
                ["for", name, "in", count] => {
                    let (count, body) = (self.count(count), lines.clone());
                    for i in 0..count {
                        let counters = [counters, &[(*name, i)]].concat();
                        self.lines(&mut body.clone(), &counters, written, out);
                    }
                    self.lines(lines, counters, false, out);
                }
                ["if", name] => {
                    let holds = self.holds(name);
                    if self.lines(lines, counters, written && holds, out) {
                        self.lines(lines, counters, written && !holds, out);
                    }
                }
                ["else"] => return true,
                ["end"] => return false,
                _ => {
                    out.push_str(line); // no directive: `#` is no WGSL
                    out.push('\n');
                }
            }
        }
        false
    }

    fn count(&self, name: &str) -> usize {
        let constant = self.constants.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let value = || self.values.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.parse().ok());
        name.parse().ok().or(constant).or_else(value).unwrap_or_default()
    }

    fn holds(&self, name: &str) -> bool {
        let (wanted, name) = name.strip_prefix('!').map_or((true, name), |name| (false, name));
        self.conditions.iter().any(|(known, is_true)| *known == name && *is_true) == wanted
    }

    /// Counters first, so that a value's name may hold one: `${sums$i}`. An underscore ends a counter's name.
    fn fill(&self, line: &str, counters: &[(&str, usize)], out: &mut String) {
        let mut line = line.to_owned();
        for (name, i) in counters {
            line = replaced(&line, |c| c.is_alphanumeric(), |found| (found == *name).then(|| i.to_string()));
        }
        let value = |found: &str| self.values.iter().find(|(name, _)| name == found).map(|(_, value)| value.clone());
        out.push_str(&replaced(&line, |c| c.is_alphanumeric() || c == '_', value));
    }
}

/// `line` with every `$name` and `${name}` replaced for which there is a value.
fn replaced(line: &str, is_name: impl Fn(char) -> bool, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('$') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let (name, next) = match after.strip_prefix('{') {
            Some(inner) => inner.split_once('}').filter(|(name, _)| !name.contains('$')).unwrap_or(("", inner)),
            None => after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len())),
        };
        out.push_str(before);
        match value(name) {
            Some(value) => {
                out.push_str(&value);
                rest = next;
            }
            None => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_fills_in_and_leaves_out() {
        let text = "var x: $t;\n//#for i in N\n//#for j in 2\na${i}_$j ${v$i_$j}\n//#end\n//#end\n//#if on\nyes\n//#else\nno\n//#end\n//#if !on\nlost\n//#end\nend";
        let template = Template::new(&[text])
            .enable("enable f16;")
            .constant("N", 2)
            .set("t", "f32")
            .set("v1_0", "v")
            .when("on", true);
        let source = template.render();
        assert_eq!(
            source,
            "enable f16;\nconst N = 2u;\nvar x: f32;\na0_0 ${v0_0}\na0_1 ${v0_1}\na1_0 v\na1_1 ${v1_1}\nyes\nend\n"
        );
    }

    #[test]
    fn what_nobody_filled_in_stays() {
        assert_eq!(Template::new(&["let $a = 1;"]).render(), "let $a = 1;\n");
    }
}
