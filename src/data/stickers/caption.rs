//! The caption of a sticker: the same things in many ways, with often something left out.

use super::concepts::concepts;
use super::sticker::{Background, Sticker, Thing};
use super::words::{Relation, Size, Style};
use crate::data::random::Random;
use crate::data::scenes::Pattern;

/// The most words that a caption has.
pub const LIMIT: usize = 40;
/// What may stand before everything.
pub const OPENINGS: [&str; 6] =
    ["a picture of", "a drawing of", "a sticker of", "an icon of", "an emoji of", "an illustration of"];
/// Ways to say a plain background, `{}` being its shade.
pub const PLAIN: [&str; 4] = ["on a {} background", "on {}", "with a {} background", "against a {} background"];
pub const GRADIENT: [&str; 2] = ["on a {} to {} gradient background", "on a gradient from {} to {}"];
pub const STRIPED: [&str; 3] =
    ["on a {} and {} striped background", "on {} and {} stripes", "on a striped {} and {} background"];
pub const CHECKERED: [&str; 2] = ["on a {} and {} checkered background", "on a checkered {} and {} background"];
pub const DOTTED: [&str; 2] = ["on a {} background with {} dots", "on {} with {} dots"];
/// Shares: an opening, no article, a synonym, `flat` said, a style said last.
const OPENED: f64 = 0.08;
const BARE: f64 = 0.25;
const SYNONYM: f64 = 0.3;
const FLAT_SAID: f64 = 0.1;
const STYLE_LAST: f64 = 0.2;

/// A caption for all that is asked for.
pub fn write(sticker: &Sticker, random: &mut Random) -> String {
    let bare = random.unit() < BARE;
    let mut parts = Vec::new();
    if random.unit() < OPENED {
        parts.push(random.choice(&OPENINGS).to_owned());
    }
    match &sticker.things[..] {
        [first, second] => {
            parts.push(phrase(random, sticker, first, bare));
            parts.push(usual(random, sticker.asked.relation.unwrap_or(Relation::Beside).words()).to_owned());
            parts.push(phrase(random, sticker, second, bare));
        }
        things => parts.extend(things.iter().map(|thing| phrase(random, sticker, thing, bare))),
    }
    if let Some(place) = sticker.asked.place {
        parts.push(usual(random, place.words()).to_owned());
    }
    if sticker.asked.background {
        parts.push(behind(random, sticker.background));
    }
    parts.join(" ")
}

/// `a small glossy red apple`.
fn phrase(random: &mut Random, sticker: &Sticker, thing: &Thing, bare: bool) -> String {
    let mut words: Vec<&str> = Vec::new();
    if sticker.asked.size != Size::Medium {
        words.push(usual(random, sticker.asked.size.words()));
    }
    let style =
        (sticker.style != Style::Flat || random.unit() < FLAT_SAID).then(|| usual(random, sticker.style.words()));
    let tint = thing.tint.map(|tint| usual(random, tint.words()));
    if random.unit() < STYLE_LAST {
        words.extend(tint.into_iter().chain(style));
    } else {
        words.extend(style.into_iter().chain(tint));
    }
    let name = usual(random, &concepts()[thing.concept].names);
    words.push(name);
    let text = words.join(" ");
    if bare || is_plural(name) { text } else { format!("{} {text}", article(&text)) }
}

/// The first of the words most often.
fn usual<'a>(random: &mut Random, words: &[&'a str]) -> &'a str {
    if words.len() > 1 && random.unit() < SYNONYM { random.choice(&words[1..]) } else { words[0] }
}

fn behind(random: &mut Random, background: Background) -> String {
    let forms: &[&str] = match background.pattern {
        Pattern::Plain => &PLAIN,
        Pattern::Gradient => &GRADIENT,
        Pattern::Striped => &STRIPED,
        Pattern::Checkered => &CHECKERED,
        Pattern::Dotted => &DOTTED,
    };
    let form = usual(random, forms);
    let first = usual(random, background.first.words());
    let text = form.replacen("{}", first, 1).replacen("{}", usual(random, background.second.words()), 1);
    // An article fits the shade that follows it.
    text.replace(" a orange", " an orange")
}

/// `a`, or `an` before what begins like a vowel.
pub fn article(text: &str) -> &'static str {
    let vowel = text.starts_with(['a', 'e', 'i', 'o']) || text.starts_with("hour");
    let umbrella = text.starts_with("um") || text.starts_with("un") && !text.starts_with("uni");
    if vowel || umbrella { "an" } else { "a" }
}

/// Whether a name is one of several things: `jeans`, `grapes`.
pub fn is_plural(name: &str) -> bool {
    name.ends_with('s') && !["ss", "us", "is", "os"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_fit() {
        for (text, expected) in [
            ("apple", "an"),
            ("cat", "a"),
            ("umbrella", "an"),
            ("unicorn", "a"),
            ("ufo", "a"),
            ("orange cat", "an"),
            ("hourglass", "an"),
        ] {
            assert_eq!(article(text), expected, "{text}");
        }
        assert!(is_plural("jeans") && is_plural("french fries"));
        assert!(!["bus", "cactus", "compass", "hibiscus", "octopus", "rhinoceros", "cat"].into_iter().any(is_plural));
    }
}
