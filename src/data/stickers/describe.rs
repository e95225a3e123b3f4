//! Stickers by lot: what is asked for, then what the caption leaves open.

use super::caption;
use super::concepts::concepts;
use super::sticker::{Asked, Background, Pairs, Sticker, Thing};
use super::words::{Place, Relation, Shade, Size, Style, Tint};
use crate::data::random::Random;
use crate::data::scenes::Pattern;

/// Radius of each of two things.
const PAIR_RADIUS: f64 = 0.44;
/// The largest radius of a thing that has a place.
const PLACED_RADIUS: f64 = 0.5;
/// Shares of the styles, in their order.
pub(super) const STYLES: [f64; 2] = [0.65, 0.35];
/// Shares of: one thing, a recoloured thing, a background that is said, a plain one among those, a thing with a place.
pub(super) const ALONE: f64 = 0.75;
const TINTED: f64 = 0.65;
pub(super) const SAID: f64 = 0.6;
const PLAIN: f64 = 0.7;
const PLACED: f64 = 0.25;

/// Draws a sticker by lot, of so many things (1 or 2), or of either number.
pub fn describe(random: &mut Random, pairs: Pairs, things: Option<usize>, plain: bool) -> Sticker {
    let style = style(random);
    let alone = random.unit() < ALONE;
    let count = things.unwrap_or(if alone { 1 } else { 2 });
    let mut asked = Asked { size: Size::Medium, place: None, relation: None, background: false };
    let things =
        if count < 2 { vec![one(random, style, pairs, &mut asked)] } else { two(random, style, pairs, &mut asked) };
    let free = free_shades(&things);
    asked.background = random.unit() < SAID;
    let background = background(random, &free, asked.background, plain);
    let mut sticker = Sticker {
        style,
        things,
        background,
        phase: random.unit() as f32,
        vertical: random.unit() < 0.5,
        asked,
        caption: String::new(),
    };
    sticker.caption = caption::write(&sticker, random);
    sticker
}

/// The shades that all of the things stand out from.
fn free_shades(things: &[Thing]) -> Vec<Shade> {
    let hidden = |shade: &Shade| things.iter().any(|t| t.shown_tint().hides_on().contains(shade));
    Shade::ALL.iter().copied().filter(|shade| !hidden(shade)).collect()
}

fn style(random: &mut Random) -> Style {
    let mut left = random.unit();
    for (&style, share) in Style::ALL.iter().zip(STYLES) {
        if left < share {
            return style;
        }
        left -= share;
    }
    Style::Flat
}

/// A concept that the style has and its tint; of the pairs that `pairs` takes.
fn subject(random: &mut Random, style: Style, pairs: Pairs) -> (usize, Option<Tint>) {
    loop {
        let index = random.below(concepts().len());
        let concept = &concepts()[index];
        let tint = (random.unit() < TINTED || pairs == Pairs::HeldOut).then(|| random.choice(Tint::ALL));
        let tint = tint.filter(|_| concept.takes_tint(style));
        let held = tint.is_some_and(|tint| concept.is_held_out(tint));
        if concept.has(style) && pairs.take(held) {
            return (index, tint);
        }
    }
}

fn one(random: &mut Random, style: Style, pairs: Pairs, asked: &mut Asked) -> Thing {
    let (concept, tint) = subject(random, style, pairs);
    asked.size = random.choice(&[Size::Medium, Size::Medium, Size::Medium, Size::Small, Size::Large]);
    asked.place = (random.unit() < PLACED && asked.size != Size::Large).then(|| random.choice(Place::ALL));
    let (low, high) = asked.size.radii();
    let mut radius = random.uniform(low, high);
    let (dx, dy) = asked.place.map_or((0.0, 0.0), Place::direction);
    if (dx, dy) != (0.0, 0.0) {
        radius = radius.min(PLACED_RADIUS);
    }
    let room = 1.0 - radius;
    let mut along = |direction: f64| {
        // In a place it touches the edge nearly; without one it lies about the middle.
        let center = direction * room * random.uniform(0.85, 1.0);
        let jitter = if direction == 0.0 { 0.3 * room.min(0.3) } else { 0.0 };
        (center + random.uniform(-jitter, jitter)) as f32
    };
    let (x, y) = (along(dx), along(dy));
    Thing { concept, tint, radius: radius as f32, x, y, flip: random.unit() < 0.5 }
}

fn two(random: &mut Random, style: Style, pairs: Pairs, asked: &mut Asked) -> Vec<Thing> {
    let relation = random.choice(&[
        Relation::Beside,
        Relation::Beside,
        Relation::LeftOf,
        Relation::RightOf,
        Relation::Above,
        Relation::Below,
    ]);
    asked.relation = Some(relation);
    let (x, y) = relation.center();
    let first = subject(random, style, pairs);
    let second = loop {
        let second = subject(random, style, pairs);
        if second.0 != first.0 {
            break second;
        }
    };
    let mut place = |(concept, tint), sign: f64| {
        let radius = PAIR_RADIUS * random.uniform(0.92, 1.08);
        let mut near = |v: f64| (sign * v + random.uniform(-0.03, 0.03)) as f32;
        let (x, y) = (near(x), near(y));
        Thing { concept, tint, radius: radius as f32, x, y, flip: random.unit() < 0.5 }
    };
    vec![place(first, 1.0), place(second, -1.0)]
}

/// A background whose shades are `free`; one that is not said is plain and light where that leaves a choice.
fn background(random: &mut Random, free: &[Shade], said: bool, plain: bool) -> Background {
    let solid = |shade| Background { pattern: Pattern::Plain, first: shade, second: shade };
    if !said {
        let usual: Vec<Shade> = Shade::UNSAID.iter().copied().filter(|s| free.contains(s)).collect();
        return solid(random.choice(if usual.is_empty() { free } else { &usual }));
    }
    if plain || free.len() < 2 || random.unit() < PLAIN {
        return solid(random.choice(free));
    }
    let pattern = random.choice(&[Pattern::Gradient, Pattern::Striped, Pattern::Checkered, Pattern::Dotted]);
    let (first, second) = random.pair(free);
    Background { pattern, first, second }
}
