//! Recolouring: the hue of every colour whose saturation is over 0.15 is rewritten, and its lightness moved to where the tint's name
//! belongs. Colours near that threshold are moved part of the way, so that a faint shade running through it leaves no spots.

use super::words::Tint;

/// A colour that is less saturated, or spans less, has no hue to speak of: it stays.
const SATURATED: f32 = 0.15;
const CHROMA: f32 = 0.08;
/// Of the thresholds: where a colour begins to move, and where it moves all the way.
const SOFT: [f32; 2] = [0.5, 1.5];

/// What the coloured parts of a drawing are like on average.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    pub saturation: f32,
    pub lightness: f32,
    /// Of the drawn pixels, those that have a hue.
    pub share: f32,
}

impl Profile {
    /// Of premultiplied RGBA pixels.
    pub fn of(pixels: &[[u8; 4]]) -> Self {
        let (mut saturation, mut lightness, mut colored, mut drawn) = (0.0, 0.0, 0usize, 0usize);
        for &[r, g, b, a] in pixels.iter().filter(|p| p[3] > 127) {
            drawn += 1;
            let [_, s, l] = hsl(straight([r, g, b], a));
            if has_hue([0.0, s, l]) {
                colored += 1;
                saturation += s;
                lightness += l;
            }
        }
        let n = colored.max(1) as f32;
        Self { saturation: saturation / n, lightness: lightness / n, share: colored as f32 / drawn.max(1) as f32 }
    }
}

/// Where a tint takes a colour: hue in degrees, the saturation and lightness that the drawing has on average.
fn target(tint: Tint) -> (f32, f32, f32) {
    match tint {
        Tint::Red => (2.0, 0.85, 0.48),
        Tint::Orange => (28.0, 0.95, 0.54),
        Tint::Yellow => (48.0, 0.95, 0.58),
        Tint::Green => (130.0, 0.65, 0.42),
        Tint::Teal => (180.0, 0.70, 0.42),
        Tint::Blue => (217.0, 0.82, 0.52),
        Tint::Purple => (274.0, 0.65, 0.52),
        Tint::Pink => (332.0, 0.88, 0.70),
        Tint::Brown => (24.0, 0.48, 0.34),
        Tint::Black => (240.0, 0.06, 0.17),
        Tint::White => (220.0, 0.12, 0.92),
        Tint::Gray => (220.0, 0.03, 0.55),
    }
}

/// A colour of a drawing with `profile`, in `tint`.
pub fn repaint(rgb: [u8; 3], tint: Tint, profile: &Profile) -> [u8; 3] {
    let found @ [_, s, l] = hsl(rgb.map(|v| f32::from(v) / 255.0));
    let share = hue_share(found);
    if share <= 0.0 {
        return rgb;
    }
    let (hue, saturation, lightness) = target(tint);
    // A power that carries the average to the target keeps black and white where they are.
    let mean = profile.lightness.clamp(0.05, 0.95);
    let power = (lightness.ln() / mean.ln()).clamp(0.2, 8.0);
    let l = match tint {
        // Near the ends a power leaves too little between light and dark.
        Tint::Black => 0.07 + 0.26 * l,
        Tint::White => 0.80 + 0.18 * l,
        _ => l.powf(power),
    };
    let s = (s * saturation / profile.saturation.clamp(0.1, 1.0)).min(1.0);
    // Dark yellow is olive: its shadows lean towards orange.
    let hue = if tint == Tint::Yellow { hue - 20.0 * ((0.5 - l) / 0.3).clamp(0.0, 1.0) } else { hue };
    let painted = rgb8([hue, s, l]);
    [0, 1, 2].map(|i| (f32::from(rgb[i]) * (1.0 - share) + f32::from(painted[i]) * share).round() as u8)
}

/// How far a colour's hue counts, in multiples of the thresholds.
fn hue_strength([_, s, l]: [f32; 3]) -> f32 {
    (s / SATURATED).min(s * (1.0 - (2.0 * l - 1.0).abs()) / CHROMA)
}

fn has_hue(hsl: [f32; 3]) -> bool {
    hue_strength(hsl) > 1.0
}

/// Of the way to the tint, how much a colour goes.
fn hue_share(hsl: [f32; 3]) -> f32 {
    let t = ((hue_strength(hsl) - SOFT[0]) / (SOFT[1] - SOFT[0])).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Premultiplied to straight, in 0..1.
pub fn straight(rgb: [u8; 3], alpha: u8) -> [f32; 3] {
    rgb.map(|v| if alpha == 0 { 0.0 } else { (f32::from(v) / f32::from(alpha)).min(1.0) })
}

/// Hue in degrees, saturation and lightness, of sRGB in 0..1.
pub fn hsl([r, g, b]: [f32; 3]) -> [f32; 3] {
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let (chroma, l) = (high - low, (high + low) / 2.0);
    if chroma <= 0.0 {
        return [0.0, 0.0, l];
    }
    let hue = match high {
        h if h == r => ((g - b) / chroma).rem_euclid(6.0),
        h if h == g => (b - r) / chroma + 2.0,
        _ => (r - g) / chroma + 4.0,
    };
    [hue * 60.0, chroma / (1.0 - (2.0 * l - 1.0).abs()).max(1e-6), l]
}

fn rgb8([hue, s, l]: [f32; 3]) -> [u8; 3] {
    let chroma = (1.0 - (2.0 * l - 1.0).abs()) * s;
    let sixth = hue.rem_euclid(360.0) / 60.0;
    let second = chroma * (1.0 - (sixth % 2.0 - 1.0).abs());
    let (r, g, b) = match sixth as u8 {
        0 => (chroma, second, 0.0),
        1 => (second, chroma, 0.0),
        2 => (0.0, chroma, second),
        3 => (0.0, second, chroma),
        4 => (second, 0.0, chroma),
        _ => (chroma, 0.0, second),
    };
    [r, g, b].map(|v| ((v + l - chroma / 2.0).clamp(0.0, 1.0) * 255.0).round() as u8)
}

/// An SVG body with the hex colours of its fills, strokes and gradient stops repainted.
pub fn repaint_svg(body: &str, tint: Tint, profile: &Profile) -> String {
    const BEFORE: [&str; 6] = ["fill=\"", "stroke=\"", "color=\"", "fill:", "stroke:", "color:"];
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('#') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let digits = after[1..].bytes().take_while(u8::is_ascii_hexdigit).count();
        let is_color = BEFORE.iter().any(|b| before.ends_with(b)) && matches!(digits, 3 | 6);
        match is_color.then(|| parse_hex(&after[1..=digits])).flatten() {
            Some(rgb) => {
                let [r, g, b] = repaint(rgb, tint, profile);
                out.push_str(&format!("#{r:02x}{g:02x}{b:02x}"));
                rest = &after[1 + digits..];
            }
            None => {
                out.push('#');
                rest = &after[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn parse_hex(digits: &str) -> Option<[u8; 3]> {
    let value = u32::from_str_radix(digits, 16).ok()?;
    Some(match digits.len() {
        3 => [8, 4, 0].map(|shift| ((value >> shift) & 15) as u8 * 17),
        _ => [16, 8, 0].map(|shift| (value >> shift) as u8),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: Profile = Profile { saturation: 0.8, lightness: 0.5, share: 1.0 };

    #[test]
    fn colours_go_there_and_back() {
        for rgb in [[255, 0, 0], [12, 200, 99], [1, 2, 250], [128, 128, 128], [250, 240, 10], [90, 10, 120]] {
            assert_eq!(rgb8(hsl(rgb.map(|v| f32::from(v) / 255.0))), rgb);
        }
    }

    #[test]
    fn gray_stays_and_the_rest_takes_the_hue() {
        for tint in Tint::ALL {
            assert_eq!(repaint([40, 40, 42], *tint, &RED), [40, 40, 42]);
            assert_eq!(repaint([255; 3], *tint, &RED), [255; 3]);
        }
        let [r, g, b] = repaint([220, 40, 40], Tint::Blue, &RED);
        assert!(b > 200 && r < 90 && g < 150, "{r} {g} {b}");
        let dark = repaint([120, 20, 20], Tint::Blue, &RED);
        assert!(dark[2] < b, "shadows stay darker");
        let [r, g, b] = repaint([220, 40, 40], Tint::White, &RED);
        assert!(r.min(g).min(b) > 200);
        assert!(repaint([220, 40, 40], Tint::Black, &RED).iter().all(|v| *v < 70));
    }

    #[test]
    fn a_faint_shade_changes_without_a_step() {
        // White to pale red: neighbours stay neighbours.
        let shades = (0..=120).map(|v| repaint([255, 255 - v, 255 - v], Tint::Blue, &RED));
        let shades: Vec<[u8; 3]> = shades.collect();
        let step = |pair: &[[u8; 3]]| (0..3).map(|i| pair[0][i].abs_diff(pair[1][i])).max();
        let largest = shades.windows(2).filter_map(step).max();
        assert!(largest <= Some(8), "{largest:?}");
        assert_eq!((shades[0], shades[8]), ([255; 3], [255, 247, 247]));
    }

    #[test]
    fn only_colours_of_the_svg_are_rewritten() {
        let body = r##"<path id="fade" fill="#dc2828"/><use href="#fade"/><g fill="url(#abc)" stroke="#fff"/><stop stop-color="#d22"/>"##;
        let blue = repaint_svg(body, Tint::Blue, &RED);
        assert!(
            blue.contains("href=\"#fade\"") && blue.contains("url(#abc)") && blue.contains("stroke=\"#ffffff\""),
            "{blue}"
        );
        assert!(!blue.contains("#dc2828") && !blue.contains("#d22\""), "{blue}");
    }
}
