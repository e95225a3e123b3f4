//! The caption grammar, both ways: what is asked for becomes a sentence, and a sentence becomes what is asked for.

use serde::{Deserialize, Serialize};

use super::vocabulary::{Color, Pattern, Place, Relation, Shape, Size};
use crate::error::{Error, Result};

/// What a caption asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub subject: Subject,
    pub background: Background,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    One { size: Size, color: Color, shape: Shape, place: Option<Place> },
    Pair { first: (Color, Shape), relation: Relation, second: (Color, Shape) },
}

/// A pattern of two colours; a plain one has its colour twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Background {
    pub pattern: Pattern,
    pub first: Color,
    pub second: Color,
}

impl Background {
    /// Whether the words are the same: no order of colours is seen in stripes and checks.
    pub fn matches(self, other: Self) -> bool {
        let unordered = matches!(self.pattern, Pattern::Striped | Pattern::Checkered);
        self.pattern == other.pattern
            && ((self.first, self.second) == (other.first, other.second)
                || unordered && (self.first, self.second) == (other.second, other.first))
    }
}

impl Request {
    /// The sentence: `a large red star in the left on a blue background`.
    pub fn caption(&self) -> String {
        let Background { pattern, first, second } = self.background;
        let (b1, b2) = (first.name(), second.name());
        let background = match pattern {
            Pattern::Plain => format!("a {b1} background"),
            Pattern::Gradient => format!("a {b1} to {b2} gradient background"),
            Pattern::Striped => format!("a {b1} and {b2} striped background"),
            Pattern::Checkered => format!("a {b1} and {b2} checkered background"),
            Pattern::Dotted => format!("a {b1} background with {b2} dots"),
        };
        match self.subject {
            Subject::One { size, color, shape, place } => {
                let size = if size == Size::Medium { String::new() } else { format!("{} ", size.name()) };
                let place = place.map(|p| format!(" in the {}", p.name())).unwrap_or_default();
                format!("a {size}{} {}{place} on {background}", color.name(), shape.name())
            }
            Subject::Pair { first: (c1, s1), relation, second: (c2, s2) } => {
                let (c1, s1, c2, s2) = (c1.name(), s1.name(), c2.name(), s2.name());
                format!("a {c1} {s1} {} a {c2} {s2} on {background}", relation.name())
            }
        }
    }

    /// Reads a caption of the grammar; upper case and surplus blanks do not matter.
    ///
    /// # Errors
    /// `InvalidInput` on `caption` naming the word that does not fit.
    pub fn parse(caption: &str) -> Result<Self> {
        let text = caption.to_lowercase();
        let mut words = Words { rest: text.split_whitespace().collect(), caption };
        words.expect("a")?;
        let size = match words.peek() {
            Some("small") => Size::Small,
            Some("large") => Size::Large,
            _ => Size::Medium,
        };
        if size != Size::Medium {
            words.next();
        }
        let (color, shape) = words.object()?;
        let subject = match words.next() {
            Some("in") => {
                words.expect("the")?;
                let place = words.word("a place", Place::named)?;
                words.expect("on")?;
                Subject::One { size, color, shape, place: Some(place) }
            }
            Some("on") => Subject::One { size, color, shape, place: None },
            Some(word) if size == Size::Medium => {
                let relation = match word {
                    "left" | "right" => {
                        words.expect("of")?;
                        if word == "left" { Relation::LeftOf } else { Relation::RightOf }
                    }
                    _ => {
                        Relation::named(word).ok_or_else(|| words.fault("\"in\", \"on\" or a relation", Some(word)))?
                    }
                };
                words.expect("a")?;
                let second = words.object()?;
                words.expect("on")?;
                Subject::Pair { first: (color, shape), relation, second }
            }
            other => return Err(words.fault("\"in\" or \"on\"", other)),
        };
        let background = words.background()?;
        match words.next() {
            None => Ok(Self { subject, background }),
            other => Err(words.fault("the end", other)),
        }
    }
}

/// The words that are left.
struct Words<'a> {
    rest: std::collections::VecDeque<&'a str>,
    caption: &'a str,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.rest.front().copied()
    }

    fn next(&mut self) -> Option<&'a str> {
        self.rest.pop_front()
    }

    fn fault(&self, wanted: &str, found: Option<&str>) -> Error {
        let found = found.map_or("the end".to_owned(), |word| format!("{word:?}"));
        Error::input("caption", format!("{:?} has {found} where {wanted} belongs", self.caption))
    }

    fn expect(&mut self, word: &str) -> Result<()> {
        match self.next() {
            Some(found) if found == word => Ok(()),
            other => Err(self.fault(&format!("{word:?}"), other)),
        }
    }

    fn word<T>(&mut self, wanted: &str, named: impl Fn(&str) -> Option<T>) -> Result<T> {
        let word = self.next();
        word.and_then(named).ok_or_else(|| self.fault(wanted, word))
    }

    fn object(&mut self) -> Result<(Color, Shape)> {
        Ok((self.word("a colour", Color::named)?, self.word("a shape", Shape::named)?))
    }

    fn background(&mut self) -> Result<Background> {
        self.expect("a")?;
        let first = self.word("a colour", Color::named)?;
        let (pattern, second) = match self.next() {
            Some("background") if self.peek() == Some("with") => {
                self.next();
                let second = self.word("a colour", Color::named)?;
                self.expect("dots")?;
                return Ok(Background { pattern: Pattern::Dotted, first, second });
            }
            Some("background") => return Ok(Background { pattern: Pattern::Plain, first, second: first }),
            Some("to") => {
                let second = self.word("a colour", Color::named)?;
                self.expect("gradient")?;
                (Pattern::Gradient, second)
            }
            Some("and") => {
                let second = self.word("a colour", Color::named)?;
                let pattern =
                    |word: &str| Pattern::named(word).filter(|p| matches!(p, Pattern::Striped | Pattern::Checkered));
                (self.word("\"striped\" or \"checkered\"", pattern)?, second)
            }
            other => return Err(self.fault("\"background\", \"to\" or \"and\"", other)),
        };
        self.expect("background")?;
        Ok(Background { pattern, first, second })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_read_back() {
        for caption in [
            "a large red star in the left on a blue background",
            "a orange triangle left of a blue circle on a white background",
            "a cyan ring above a pink square on a black to gray gradient background",
            "a white moon on a purple and red striped background",
            "a small green cross in the center on a yellow and white checkered background",
            "a brown diamond below a brown heart on a gray background with white dots",
        ] {
            assert_eq!(Request::parse(caption).unwrap().caption(), caption);
        }
        assert_eq!(
            Request::parse(" A  Red star ON a blue background ").unwrap().caption(),
            "a red star on a blue background"
        );
    }

    #[test]
    fn what_is_no_caption_says_where() {
        for (caption, fault) in [
            ("", "the end where \"a\""),
            ("a mauve star on a red background", "\"mauve\" where a colour"),
            ("a red star on a red and blue dotted background", "\"dotted\" where \"striped\" or \"checkered\""),
            ("a red star near a blue circle on a red background", "\"near\" where \"in\", \"on\" or a relation"),
            ("a large red star above a blue circle on a red background", "\"above\" where \"in\" or \"on\""),
            ("a red star on a red background with blue stripes", "\"stripes\" where \"dots\""),
            ("a red star on a red background today", "\"today\" where the end"),
        ] {
            let error = Request::parse(caption).unwrap_err().to_string();
            assert!(error.contains(fault), "{error}");
        }
    }

    #[test]
    fn stripes_and_checks_have_no_order_of_colours() {
        let of = |pattern, first, second| Background { pattern, first, second };
        let (red, blue) = (Color::Red, Color::Blue);
        for (pattern, expected) in
            [(Pattern::Striped, true), (Pattern::Checkered, true), (Pattern::Gradient, false), (Pattern::Dotted, false)]
        {
            assert_eq!(of(pattern, red, blue).matches(of(pattern, blue, red)), expected);
        }
    }
}
