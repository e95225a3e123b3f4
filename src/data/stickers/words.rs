//! The words of stickers beside the names of things: styles, tints, backgrounds, sizes, places, and what stands between them.

use serde::{Deserialize, Serialize};

/// An enum whose variants have words: the first is its name, and all of them may stand in a caption.
macro_rules! spoken {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = [$($word:literal),+]),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($variant),* }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub fn words(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($word),+]),* }
            }

            pub fn name(self) -> &'static str {
                self.words()[0]
            }
        }
    };
}

spoken!(
    /// The family that a drawing is of. Captions that name none mean `Flat`.
    Style { Flat = ["flat"], Glossy = ["glossy", "shiny", "3d"] }
);

spoken!(
    /// What a thing is recoloured to.
    Tint {
        Red = ["red"], Orange = ["orange"], Yellow = ["yellow"], Green = ["green"], Teal = ["teal", "turquoise", "cyan"],
        Blue = ["blue"], Purple = ["purple", "violet"], Pink = ["pink"], Brown = ["brown"], Black = ["black"],
        White = ["white"], Gray = ["gray", "grey", "silver"],
    }
);

spoken!(
    /// What is behind the things.
    Shade {
        White = ["white"], Black = ["black"], Gray = ["gray", "grey"], Sky = ["sky blue", "light blue", "pale blue"],
        Cream = ["cream", "beige", "light yellow"], Mint = ["mint", "light green", "mint green"],
        Rose = ["light pink", "pale pink"], Lilac = ["lilac", "lavender", "light purple"], Red = ["red"],
        Orange = ["orange"], Yellow = ["yellow"], Green = ["green"], Teal = ["teal", "turquoise", "cyan"], Blue = ["blue"],
        Purple = ["purple", "violet"], Pink = ["pink"], Brown = ["brown"],
    }
);

spoken!(
    /// Of a thing that is alone. A medium size is not named.
    Size { Small = ["small", "tiny", "little"], Medium = [""], Large = ["large", "big", "huge"] }
);

spoken!(
    /// Where a thing that is alone lies; without one it lies in the middle.
    Place {
        Left = ["on the left", "in the left", "on the left side"],
        Right = ["on the right", "in the right", "on the right side"],
        Top = ["at the top", "in the top"],
        Bottom = ["at the bottom", "in the bottom"],
        Center = ["in the center", "in the middle"],
        TopLeft = ["in the top left corner", "in the top left", "in the upper left corner"],
        TopRight = ["in the top right corner", "in the top right", "in the upper right corner"],
        BottomLeft = ["in the bottom left corner", "in the bottom left", "in the lower left corner"],
        BottomRight = ["in the bottom right corner", "in the bottom right", "in the lower right corner"],
    }
);

spoken!(
    /// Where the first of two things is, seen from the second. `Beside` is drawn as `LeftOf`.
    Relation {
        Beside = ["and", "next to", "beside", "with"],
        LeftOf = ["left of", "to the left of"],
        RightOf = ["right of", "to the right of"],
        Above = ["above", "over", "on top of"],
        Below = ["below", "under"],
    }
);

impl Style {
    /// The letter that stands for the style in the list of concepts.
    pub fn letter(self) -> char {
        match self {
            Self::Flat => 'f',
            Self::Glossy => 'g',
        }
    }
}

impl Shade {
    /// Those that stand behind things whose captions name none.
    pub const UNSAID: &[Self] =
        &[Self::White, Self::White, Self::White, Self::Sky, Self::Cream, Self::Mint, Self::Rose, Self::Lilac];

    /// sRGB.
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Self::White => [255, 255, 255],
            Self::Black => [28, 28, 32],
            Self::Gray => [150, 150, 155],
            Self::Sky => [170, 216, 255],
            Self::Cream => [255, 236, 190],
            Self::Mint => [184, 240, 208],
            Self::Rose => [255, 205, 217],
            Self::Lilac => [216, 203, 255],
            Self::Red => [214, 54, 54],
            Self::Orange => [245, 148, 52],
            Self::Yellow => [250, 217, 70],
            Self::Green => [72, 168, 98],
            Self::Teal => [64, 182, 182],
            Self::Blue => [66, 114, 216],
            Self::Purple => [136, 84, 192],
            Self::Pink => [242, 138, 184],
            Self::Brown => [134, 92, 60],
        }
    }
}

impl Tint {
    /// The shades on which a thing of this tint does not stand out.
    pub fn hides_on(self) -> &'static [Shade] {
        match self {
            Self::Red => &[Shade::Red, Shade::Brown, Shade::Orange],
            Self::Orange => &[Shade::Orange, Shade::Yellow, Shade::Red, Shade::Brown],
            Self::Yellow => &[Shade::Yellow, Shade::Cream, Shade::Orange],
            Self::Green => &[Shade::Green, Shade::Teal, Shade::Mint],
            Self::Teal => &[Shade::Teal, Shade::Green, Shade::Sky, Shade::Blue],
            Self::Blue => &[Shade::Blue, Shade::Teal, Shade::Purple],
            Self::Purple => &[Shade::Purple, Shade::Blue, Shade::Brown],
            Self::Pink => &[Shade::Pink, Shade::Rose, Shade::Red],
            Self::Brown => &[Shade::Brown, Shade::Black, Shade::Red, Shade::Orange],
            Self::Black => &[Shade::Black, Shade::Brown],
            Self::White => {
                &[Shade::White, Shade::Cream, Shade::Lilac, Shade::Rose, Shade::Mint, Shade::Sky, Shade::Gray]
            }
            Self::Gray => &[Shade::Gray],
        }
    }
}

impl Size {
    /// Range of the radius; the picture reaches from −1 to 1.
    pub fn radii(self) -> (f64, f64) {
        match self {
            Self::Small => (0.30, 0.42),
            Self::Medium => (0.62, 0.80),
            Self::Large => (0.86, 0.97),
        }
    }
}

impl Place {
    /// The direction from the middle, each component −1, 0 or 1; y points down.
    pub fn direction(self) -> (f64, f64) {
        match self {
            Self::Left => (-1.0, 0.0),
            Self::Right => (1.0, 0.0),
            Self::Top => (0.0, -1.0),
            Self::Bottom => (0.0, 1.0),
            Self::Center => (0.0, 0.0),
            Self::TopLeft => (-1.0, -1.0),
            Self::TopRight => (1.0, -1.0),
            Self::BottomLeft => (-1.0, 1.0),
            Self::BottomRight => (1.0, 1.0),
        }
    }
}

impl Relation {
    /// Centre (x, y) of the first thing; the second is opposite.
    pub fn center(self) -> (f64, f64) {
        match self {
            Self::Beside | Self::LeftOf => (-0.48, 0.0),
            Self::RightOf => (0.48, 0.0),
            Self::Above => (0.0, -0.48),
            Self::Below => (0.0, 0.48),
        }
    }
}
