//! What is printed: names from files are text and never commands to a terminal, and a reader that went away is no failure.

use std::io::{ErrorKind, Write};

use serde_json::Value;

use crate::error::{Error, Result};

/// Characters of a quotation, or of a word, that are shown.
const SHOWN: usize = 200;

/// Writes a line to stdout.
///
/// # Errors
/// `Io` where it takes none; not where its reader has gone, who wanted no more.
pub fn print(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::io("stdout", e)),
        _ => Ok(()),
    }
}

/// Writes a line to stderr, which is the last place to tell anything.
pub fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// JSON in which no character is a command.
pub fn json(value: &Value) -> String {
    let escape = |c: char| if is_command(c) { format!("\\u{:04x}", c as u32) } else { c.to_string() };
    value.to_string().chars().map(escape).collect()
}

/// A text of one or several lines in which no character is a command, and no quotation or word is longer than [`SHOWN`].
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped, mut length) = (false, false, 0);
    for c in text.chars() {
        let ends = if quoted { c == '"' && !escaped || c == '\n' } else { c.is_whitespace() || c == '"' };
        escaped = quoted && c == '\\' && !escaped;
        if ends {
            quoted = !quoted && c == '"';
            length = 0;
        } else {
            length += 1;
        }
        match length {
            0..=SHOWN if is_command(c) && c != '\n' => out.extend(c.escape_default()),
            0..=SHOWN => out.push(c),
            n if n == SHOWN + 1 => out.push('…'),
            _ => {}
        }
    }
    out
}

/// Whether a terminal may act on it, or show what follows in another order.
fn is_command(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_a_command() {
        assert_eq!(
            plain("a\x1b]0;x\x07b\r\u{9b}31m\u{202e}c\nd\te"),
            "a\\u{1b}]0;x\\u{7}b\\r\\u{9b}31m\\u{202e}c\nd\\te"
        );
        let name = serde_json::json!({ "name": "\x1b[2J\u{9b}1m\u{7f}é" });
        assert_eq!(json(&name), r#"{"name":"\u001b[2J\u009b1m\u007fé"}"#);
        assert_eq!(serde_json::from_str::<Value>(&json(&name)).unwrap(), name);
    }

    #[test]
    fn long_quotations_and_words_are_cut() {
        let long = "é ".repeat(300);
        assert_eq!(plain(&format!("file {long:?} is bad")), format!("file \"{}…\" is bad", "é ".repeat(100)));
        assert_eq!(plain(&format!("{}: bad", "x".repeat(900))), format!("{}… bad", "x".repeat(200)));
        assert_eq!(plain(&format!("\"{}\" and", "y".repeat(200))), format!("\"{}\" and", "y".repeat(200)));
        let prose = "many short words ".repeat(100);
        assert_eq!(plain(&prose), prose);
    }
}
