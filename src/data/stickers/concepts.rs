//! The things that stickers show: a curated list, with the drawing of each and the names that people have for it.

use std::sync::LazyLock;

use super::words::{Style, Tint};

/// `# GROUP`, or `ICON GLYPH STYLES TINT NAME, SYNONYM …`: the name of the drawing in the icon sets, the code points of its
/// rendering, the letters of the styles that have it (upper case where it can be recoloured), the tint that comes nearest to its
/// natural colours, and its names.
const LIST: &str = include_str!("concepts.txt");
/// One in so many pairs of concept and tint is held out.
const HELD_OUT: u64 = 16;

/// A thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concept {
    pub group: &'static str,
    /// Its key in the icon sets.
    pub icon: &'static str,
    /// The file of its glossy rendering, without extension.
    pub glyph: &'static str,
    styles: &'static str,
    /// What its natural colours are nearest to.
    pub natural: Tint,
    /// What people call it, the usual name first.
    pub names: Vec<&'static str>,
}

impl Concept {
    pub fn name(&self) -> &'static str {
        self.names[0]
    }

    pub fn has(&self, style: Style) -> bool {
        self.styles.contains([style.letter(), style.letter().to_ascii_uppercase()])
    }

    /// Whether enough of the drawing has a colour that a tint can take the place of.
    pub fn takes_tint(&self, style: Style) -> bool {
        self.styles.contains(style.letter().to_ascii_uppercase())
    }

    /// Whether training never sees this thing in this tint.
    pub fn is_held_out(&self, tint: Tint) -> bool {
        // FNV-1a of the words, so that a longer list leaves the pairs of the others as they are.
        let words = self.icon.bytes().chain([b' ']).chain(tint.name().bytes());
        let hash = words.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        (hash >> 32) % HELD_OUT == 0
    }
}

/// All of them, in the list's order.
pub fn concepts() -> &'static [Concept] {
    static ALL: LazyLock<Vec<Concept>> = LazyLock::new(|| parse(LIST));
    &ALL
}

fn parse(list: &'static str) -> Vec<Concept> {
    let mut group = "";
    let mut all = Vec::new();
    for line in list.lines().filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("# ") {
            group = name;
        } else if let [icon, glyph, styles, natural, names] = line.splitn(5, ' ').collect::<Vec<_>>()[..]
            && let Some(&natural) = Tint::ALL.iter().find(|t| t.name() == natural)
        {
            all.push(Concept { group, icon, glyph, styles, natural, names: names.split(", ").collect() });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_list_is_whole() {
        let all = concepts();
        let lines = LIST.lines().filter(|l| !l.is_empty() && !l.starts_with("# ")).count();
        assert_eq!(all.len(), lines);
        assert!(all.len() > 250, "{}", all.len());
        let names: Vec<_> = all.iter().flat_map(|c| &c.names).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name has two meanings");
        for concept in all {
            assert!(concept.has(Style::Flat) && !concept.group.is_empty(), "{concept:?}");
            let plain = |c: char| c.is_ascii_lowercase() || c == ' ';
            assert!(concept.names.iter().all(|n| !n.is_empty() && n.chars().all(plain)), "{concept:?}");
        }
        let tinted = all.iter().filter(|c| c.takes_tint(Style::Flat)).count();
        assert!(tinted * 2 > all.len(), "{tinted}");
    }

    #[test]
    fn some_pairs_are_held_out_and_they_stay_so() {
        let pairs = concepts().iter().flat_map(|c| Tint::ALL.iter().map(move |t| c.is_held_out(*t)));
        let (held, all) = pairs.fold((0, 0), |(held, all), h| (held + usize::from(h), all + 1));
        assert!((all / 20..all / 12).contains(&held), "{held} of {all}");
        let dog = concepts().iter().find(|c| c.icon == "dog").unwrap();
        let tints: Vec<_> = Tint::ALL.iter().filter(|t| dog.is_held_out(**t)).map(|t| t.name()).collect();
        assert_eq!(tints, ["yellow", "black"]);
    }
}
