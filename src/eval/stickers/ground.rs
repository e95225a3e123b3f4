//! The background of a sticker, read from the frame around it: every pattern of the likely shades is drawn and compared.

use crate::data::scenes::Pattern;
use crate::data::scenes::render::mixture;
use crate::data::stickers::{Background, Shade};

/// sRGB distance, of 1 from black to white along one channel, over which a pixel is not the background.
pub const APART: f32 = 0.10;
/// A pixel further away than this is no worse: something lies before the background.
const CLIP: f32 = 0.25;
/// Width of the frame, as a share of the side.
const FRAME: f32 = 0.14;
/// How much better than a plain background a pattern must fit.
const PATTERNED: f32 = 0.8;
/// Places where stripes may begin.
const PHASES: usize = 16;

/// Red, green and blue in 0..1 of pixel `i`.
pub fn pixel(image: &[f32], size: usize, i: usize) -> [f32; 3] {
    [0, 1, 2].map(|c| (image[c * size * size + i] * 0.5 + 0.5).clamp(0.0, 1.0))
}

/// The distance between two colours.
pub fn distance(a: [f32; 3], b: [f32; 3]) -> f32 {
    (a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>() / 3.0).sqrt()
}

fn color(shade: Shade) -> [f32; 3] {
    shade.rgb().map(|v| f32::from(v) / 255.0)
}

/// Whether the words are the same: stripes and checks have no order of shades.
pub fn matches(asked: Background, seen: Background) -> bool {
    let unordered = matches!(asked.pattern, Pattern::Striped | Pattern::Checkered);
    let swapped = Background { first: seen.second, second: seen.first, ..seen };
    asked == seen || unordered && asked == swapped
}

/// The background and the colour that it has at every pixel.
pub fn fit(image: &[f32], size: usize) -> (Background, Vec<[f32; 3]>) {
    let band = ((size as f32 * FRAME) as usize).max(2);
    let inner = band..size - band;
    let frame: Vec<usize> =
        (0..size * size).filter(|i| !(inner.contains(&(i % size)) && inner.contains(&(i / size)))).collect();
    let likely = likely(image, size, &frame);
    let plain = |shade: Shade| Background { pattern: Pattern::Plain, first: shade, second: shade };
    let mut best = (f32::INFINITY, plain(Shade::White), vec![0.0; size * size]);
    let mut compete = |background: Background, mix: Vec<f32>, handicap: f32| {
        let cost = cost(image, size, &frame, background, &mix) / handicap;
        if cost < best.0 {
            best = (cost, background, mix);
        }
    };
    for &shade in Shade::ALL {
        compete(plain(shade), vec![0.0; size * size], 1.0);
    }
    for (i, &first) in likely.iter().enumerate() {
        for &second in &likely[i + 1..] {
            for (first, second) in [(first, second), (second, first)] {
                for pattern in [Pattern::Gradient, Pattern::Dotted, Pattern::Checkered] {
                    compete(Background { pattern, first, second }, mixture(pattern, 0.0, false, size), PATTERNED);
                }
            }
            for phase in (0..PHASES).map(|p| p as f32 / PHASES as f32) {
                for vertical in [false, true] {
                    let mix = mixture(Pattern::Striped, phase, vertical, size);
                    compete(Background { pattern: Pattern::Striped, first, second }, mix, PATTERNED);
                }
            }
        }
    }
    let (_, background, mix) = best;
    if background.pattern == Pattern::Plain {
        // As it was drawn, which may be a little beside the shade.
        return (background, vec![median(image, size, &frame); size * size]);
    }
    let (a, b) = (color(background.first), color(background.second));
    (background, mix.iter().map(|m| [0, 1, 2].map(|c| a[c] + (b[c] - a[c]) * m)).collect())
}

/// The middle value of each channel.
fn median(image: &[f32], size: usize, frame: &[usize]) -> [f32; 3] {
    [0, 1, 2].map(|channel| {
        let mut values: Vec<f32> = frame.iter().map(|&i| pixel(image, size, i)[channel]).collect();
        values.sort_by(f32::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    })
}

/// Mean distance of the frame from the background.
fn cost(image: &[f32], size: usize, frame: &[usize], background: Background, mix: &[f32]) -> f32 {
    let (a, b) = (color(background.first), color(background.second));
    let one = |&i: &usize| distance(pixel(image, size, i), [0, 1, 2].map(|c| a[c] + (b[c] - a[c]) * mix[i])).min(CLIP);
    frame.iter().map(one).sum::<f32>() / frame.len().max(1) as f32
}

/// The shades that the frame has most of, and those of its top and bottom, where a gradient begins and ends.
fn likely(image: &[f32], size: usize, frame: &[usize]) -> Vec<Shade> {
    let votes = |pixels: &mut dyn Iterator<Item = usize>| {
        let mut votes: Vec<(usize, Shade)> = Shade::ALL.iter().map(|s| (0, *s)).collect();
        for i in pixels {
            let found = pixel(image, size, i);
            let near = |s: &(usize, Shade)| distance(found, color(s.1));
            if let Some(vote) = votes.iter_mut().min_by(|a, b| near(a).total_cmp(&near(b))) {
                vote.0 += 1;
            }
        }
        votes.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        votes.into_iter().filter(|(count, _)| *count > 0).map(|(_, shade)| shade).collect::<Vec<_>>()
    };
    let mut likely: Vec<Shade> = votes(&mut frame.iter().copied()).into_iter().take(2).collect();
    let edges = [votes(&mut (0..2 * size)), votes(&mut (size * (size - 2)..size * size))];
    for shade in edges.into_iter().filter_map(|edge| edge.first().copied()) {
        if !likely.contains(&shade) {
            likely.push(shade);
        }
    }
    likely
}
