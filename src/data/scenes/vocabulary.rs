//! The words of the scenes and what they mean: colours, shapes, places, relations, sizes, patterns.

use serde::{Deserialize, Serialize};

/// An enum whose variants are words: `ALL`, `name` and `named` (back from the word), and the same words in JSON.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $(#[serde(rename = $word)] $variant),* }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            pub fn named(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words!(Color {
    Red = "red", Orange = "orange", Yellow = "yellow", Green = "green", Blue = "blue", Purple = "purple", Pink = "pink",
    Brown = "brown", Black = "black", White = "white", Gray = "gray", Cyan = "cyan",
});

words!(Shape {
    Circle = "circle", Square = "square", Triangle = "triangle", Star = "star", Heart = "heart", Ring = "ring",
    Cross = "cross", Moon = "moon", Diamond = "diamond",
});

words!(Place { Left = "left", Right = "right", Top = "top", Bottom = "bottom", Center = "center" });

words!(
    /// Where the first of two objects is, seen from the second.
    Relation { LeftOf = "left of", RightOf = "right of", Above = "above", Below = "below" }
);

words!(
    /// A medium size is not named in a caption.
    Size { Small = "small", Medium = "", Large = "large" }
);

words!(Pattern {
    Plain = "plain", Gradient = "gradient", Striped = "striped", Checkered = "checkered", Dotted = "dotted",
});

impl Color {
    /// sRGB mapped to [-1, 1].
    pub fn rgb(self) -> [f32; 3] {
        let bytes: [u8; 3] = match self {
            Self::Red => [220, 40, 40],
            Self::Orange => [245, 140, 30],
            Self::Yellow => [245, 215, 50],
            Self::Green => [50, 160, 70],
            Self::Blue => [50, 90, 215],
            Self::Purple => [130, 60, 180],
            Self::Pink => [245, 140, 185],
            Self::Brown => [130, 85, 50],
            Self::Black => [25, 25, 30],
            Self::White => [245, 245, 245],
            Self::Gray => [130, 130, 135],
            Self::Cyan => [60, 195, 215],
        };
        bytes.map(|v| f32::from(v) / 127.5 - 1.0)
    }
}

impl Place {
    /// Centre (x, y) of a small object there.
    pub fn center(self) -> (f64, f64) {
        match self {
            Self::Left => (-0.45, 0.0),
            Self::Right => (0.45, 0.0),
            Self::Top => (0.0, -0.45),
            Self::Bottom => (0.0, 0.45),
            Self::Center => (0.0, 0.0),
        }
    }

    /// What a place shrinks by, so that an object of this radius stays inside the picture.
    pub fn shrink(radius: f64) -> f64 {
        1.0 - (radius - 0.3).max(0.0)
    }
}

impl Relation {
    /// Centre (x, y) of the first object; the second is opposite.
    pub fn center(self) -> (f64, f64) {
        match self {
            Self::LeftOf => (-0.48, 0.0),
            Self::RightOf => (0.48, 0.0),
            Self::Above => (0.0, -0.48),
            Self::Below => (0.0, 0.48),
        }
    }

    /// The relation of the second object to the first.
    pub fn opposite(self) -> Self {
        match self {
            Self::LeftOf => Self::RightOf,
            Self::RightOf => Self::LeftOf,
            Self::Above => Self::Below,
            Self::Below => Self::Above,
        }
    }
}

impl Size {
    /// The size whose radius is nearest.
    pub fn nearest(radius: f64) -> Self {
        let distance = |size: &Self| (size.radius() - radius).abs();
        Self::ALL.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(Self::Medium)
    }

    /// Mean radius of a lone object.
    pub fn radius(self) -> f64 {
        match self {
            Self::Small => 0.24,
            Self::Medium => 0.42,
            Self::Large => 0.62,
        }
    }
}

/// All words a caption can have, with the tokenizer's own three first: `scenes-base`'s vocabulary, in its order.
pub fn vocabulary() -> Vec<&'static str> {
    let others = "a in the on of to and with small large background gradient striped checkered dotted dots above below";
    let names = Color::ALL.iter().map(|c| c.name()).chain(Shape::ALL.iter().map(|s| s.name()));
    let names = names.chain(Place::ALL.iter().map(|p| p.name())).chain(others.split(' '));
    let sorted: std::collections::BTreeSet<&str> = names.collect();
    ["<pad>", "</s>", "<unk>"].into_iter().chain(sorted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_there_and_back() {
        for &shape in Shape::ALL {
            assert_eq!(Shape::named(shape.name()), Some(shape));
        }
        assert_eq!(serde_json::to_string(&Relation::LeftOf).unwrap(), "\"left of\"");
        assert_eq!(Color::named("mauve"), None);
        assert!(Relation::ALL.iter().all(|r| r.opposite().opposite() == *r));
    }

    #[test]
    fn the_vocabulary_is_the_tokenizers() {
        let text = include_str!("../../../tests/fixtures/scenes/tokenizer/tokenizer.json");
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        let ids = json["model"]["vocab"].as_object().unwrap();
        let words = vocabulary();
        assert_eq!(words.len(), ids.len());
        for (id, word) in words.iter().enumerate() {
            assert_eq!(ids[*word], id, "{word}");
        }
    }
}
