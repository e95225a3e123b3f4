//! The tint that most of a thing has, by hue, and by lightness where hues are the same.

use crate::data::stickers::Tint;
use crate::data::stickers::tint::hsl;

/// Below this chroma a pixel has no hue to speak of.
const CHROMA: f32 = 0.16;
/// The share of a thing that must have a hue, for the thing to have a colour.
const COLORED: f32 = 0.28;

/// Of a thing's pixels, red, green and blue in 0..1.
pub fn tint(pixels: &[[f32; 3]]) -> Tint {
    let chroma = |p: &[f32; 3]| p.iter().copied().fold(0.0, f32::max) - p.iter().copied().fold(1.0, f32::min);
    let colored: Vec<[f32; 3]> = pixels.iter().filter(|p| chroma(p) > CHROMA).copied().collect();
    if (colored.len() as f32) < COLORED * pixels.len() as f32 {
        // The median, so that small dark or light parts do not count.
        let mut light: Vec<f32> = pixels.iter().filter(|p| chroma(p) <= CHROMA).map(|p| hsl(*p)[2]).collect();
        light.sort_by(f32::total_cmp);
        return match light.get(light.len() / 2) {
            Some(l) if *l < 0.31 => Tint::Black,
            Some(l) if *l > 0.79 => Tint::White,
            _ => Tint::Gray,
        };
    }
    let mut votes = [0.0f32; 12];
    for pixel in &colored {
        let found = by_hue(*pixel);
        votes[Tint::ALL.iter().position(|t| *t == found).unwrap_or(0)] += chroma(pixel).sqrt();
    }
    let best = votes.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i);
    let best = Tint::ALL[best];
    if matches!(best, Tint::Red | Tint::Orange | Tint::Brown) { warm(&colored, best) } else { best }
}

fn by_hue(rgb: [f32; 3]) -> Tint {
    let [hue, _, l] = hsl(rgb);
    match hue {
        h if !(15.0..345.0).contains(&h) => Tint::Red,
        h if h < 39.0 => Tint::Orange,
        h if h < 75.0 => Tint::Yellow,
        h if h < 156.0 => Tint::Green,
        h if h < 198.0 => Tint::Teal,
        h if h < 245.0 => Tint::Blue,
        h if h < 303.0 => Tint::Purple,
        _ if l < 0.3 => Tint::Red,
        _ => Tint::Pink,
    }
}

/// Brown is a dark, dull orange.
fn warm(colored: &[[f32; 3]], best: Tint) -> Tint {
    let warm: Vec<[f32; 3]> = colored.iter().map(|p| hsl(*p)).filter(|[h, ..]| *h < 45.0 || *h > 340.0).collect();
    let mean = |part: usize| warm.iter().map(|p| p[part]).sum::<f32>() / warm.len().max(1) as f32;
    let (saturation, lightness) = (mean(1), mean(2));
    if best != Tint::Red && lightness < 0.5 && saturation < 0.72 { Tint::Brown } else { best }
}
