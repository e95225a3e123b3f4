//! The background that explains a picture best: every pattern, every pair of colours, every place of the stripes.

use super::picture::{AREA, Picture, SIDE, squared};
use crate::data::scenes::render::mixture;
use crate::data::scenes::{Background, Color, Pattern};
use std::sync::LazyLock;

/// Squared difference above which a pixel is something else: no more is counted. Half the least distance of two colours is 0.31.
const OUTLIER: f32 = 0.2;
/// Places of the stripes that are tried in each direction.
const PHASES: usize = 64;
/// Every how many columns a gradient is compared while its colours are searched.
const STRIDE: usize = 4;

/// The best background.
#[derive(Debug, Clone, PartialEq)]
pub struct Ground {
    pub background: Background,
    phase: f32,
    vertical: bool,
    /// As drawn, its two colours fitted to the picture.
    pub pixels: Vec<[f32; 3]>,
}

/// Where the fixed patterns have their second colour.
static CHECKERED: LazyLock<Vec<f32>> = LazyLock::new(|| mixture(Pattern::Checkered, 0.0, false, SIDE));
static DOTTED: LazyLock<Vec<f32>> = LazyLock::new(|| mixture(Pattern::Dotted, 0.0, false, SIDE));

impl Ground {
    /// Whether both are the same pattern in the same place.
    pub fn is_like(&self, other: &Self) -> bool {
        let own = (self.background, self.phase, self.vertical);
        own == (other.background, other.phase, other.vertical)
    }
}

/// A background with the sum of its capped squared differences.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    cost: f32,
    background: Background,
    phase: f32,
    vertical: bool,
}

/// Fits the background to the pixels that are `visible`.
pub fn fit(picture: &Picture, visible: impl Fn(usize) -> bool) -> Ground {
    let visible: Vec<bool> = (0..AREA).map(visible).collect();
    // Capped difference of every pixel from every colour, [12][4096].
    let costs: Vec<Vec<f32>> = Color::ALL.iter().map(|c| cost_map(picture, &visible, |_| c.rgb())).collect();
    let mut candidates = vec![plain(&costs), gradient(picture, &visible)];
    candidates.push(two_tone(&costs, Pattern::Checkered, &CHECKERED));
    candidates.push(two_tone(&costs, Pattern::Dotted, &DOTTED));
    candidates.extend([striped(&costs, false), striped(&costs, true)]);
    let best = candidates.into_iter().min_by(|a, b| a.cost.total_cmp(&b.cost)).unwrap_or_else(|| plain(&costs));
    let mix = mixture(best.background.pattern, best.phase, best.vertical, SIDE);
    let pixels = drawn(picture, &visible, &mix, best.background);
    Ground { background: best.background, phase: best.phase, vertical: best.vertical, pixels }
}

fn cost_map(picture: &Picture, visible: &[bool], color: impl Fn(usize) -> [f32; 3]) -> Vec<f32> {
    let pixels = picture.0.iter().zip(visible).enumerate();
    pixels.map(|(i, (p, v))| if *v { squared(*p, color(i)).min(OUTLIER) } else { 0.0 }).collect()
}

fn plain(costs: &[Vec<f32>]) -> Candidate {
    let sums: Vec<f32> = costs.iter().map(|c| c.iter().sum()).collect();
    let (color, cost) = least(&sums, None);
    candidate(cost, Pattern::Plain, color, color)
}

/// The best two colours for a pattern of two areas.
fn two_tone(costs: &[Vec<f32>], pattern: Pattern, mix: &[f32]) -> Candidate {
    let mut sums = [[0.0; 12]; 2];
    for (color, costs) in costs.iter().enumerate() {
        for (cost, mix) in costs.iter().zip(mix) {
            sums[usize::from(*mix >= 0.5)][color] += cost;
        }
    }
    best_pair(pattern, &sums)
}

/// The best two colours and the best place for stripes: sums along them are enough.
fn striped(costs: &[Vec<f32>], vertical: bool) -> Candidate {
    let mut lines = vec![[0.0f32; SIDE]; costs.len()];
    for (lines, costs) in lines.iter_mut().zip(costs) {
        for (i, cost) in costs.iter().enumerate() {
            lines[if vertical { i % SIDE } else { i / SIDE }] += cost;
        }
    }
    let at = |step: usize| {
        let phase = step as f32 / PHASES as f32;
        let mix = mixture_line(phase);
        let mut sums = [[0.0; 12]; 2];
        for (color, lines) in lines.iter().enumerate() {
            for (cost, second) in lines.iter().zip(&mix) {
                sums[usize::from(*second)][color] += cost;
            }
        }
        Candidate { phase, vertical, ..best_pair(Pattern::Striped, &sums) }
    };
    (0..PHASES).map(at).min_by(|a, b| a.cost.total_cmp(&b.cost)).unwrap_or_else(|| at(0))
}

/// Which lines across the stripes have the second colour.
fn mixture_line(phase: f32) -> [bool; SIDE] {
    std::array::from_fn(|i| {
        let t = (i as f32 + 0.5) / SIDE as f32 * 2.0 - 1.0;
        ((t * 3.0 + phase * 2.0).rem_euclid(2.0) - 1.0).abs() < 0.5
    })
}

fn gradient(picture: &Picture, visible: &[bool]) -> Candidate {
    let lerp = |a: Color, b: Color| {
        let (a, b) = (a.rgb(), b.rgb());
        move |row: usize| {
            let t = (row as f32 + 0.5) / SIDE as f32;
            std::array::from_fn(|c| a[c] + (b[c] - a[c]) * t)
        }
    };
    let coarse = |a: Color, b: Color| {
        let (color, mut cost) = (lerp(a, b), 0.0);
        for row in 0..SIDE {
            let wanted: [f32; 3] = color(row);
            for i in (row * SIDE + row % STRIDE..(row + 1) * SIDE).step_by(STRIDE) {
                if visible[i] {
                    cost += squared(picture.0[i], wanted).min(OUTLIER);
                }
            }
        }
        cost
    };
    let pairs = Color::ALL.iter().flat_map(|a| Color::ALL.iter().map(move |b| (*a, *b))).filter(|(a, b)| a != b);
    let best = pairs.map(|(a, b)| (coarse(a, b), a, b)).min_by(|a, b| a.0.total_cmp(&b.0));
    let (_, a, b) = best.unwrap_or((0.0, Color::Black, Color::White));
    let color = lerp(a, b);
    let cost = cost_map(picture, visible, |i| color(i / SIDE)).iter().sum();
    candidate(cost, Pattern::Gradient, a, b)
}

fn best_pair(pattern: Pattern, sums: &[[f32; 12]; 2]) -> Candidate {
    let first = |second: Color| {
        let (first, cost) = least(&sums[0], Some(second));
        candidate(cost + sums[1][second as usize], pattern, first, second)
    };
    let all = Color::ALL.iter().map(|c| first(*c));
    all.min_by(|a, b| a.cost.total_cmp(&b.cost)).unwrap_or_else(|| first(Color::Gray))
}

/// The colour of the least sum, other than `not`.
fn least(sums: &[f32], not: Option<Color>) -> (Color, f32) {
    let pairs = Color::ALL.iter().copied().zip(sums.iter().copied()).filter(|(c, _)| Some(*c) != not);
    pairs.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((Color::Gray, f32::INFINITY))
}

fn candidate(cost: f32, pattern: Pattern, first: Color, second: Color) -> Candidate {
    Candidate { cost, background: Background { pattern, first, second }, phase: 0.0, vertical: false }
}

/// The background with the two colours that fit the visible pixels best (least squares without outliers), so that a picture whose
/// colours are a little off does not differ from it everywhere.
fn drawn(picture: &Picture, visible: &[bool], mix: &[f32], background: Background) -> Vec<[f32; 3]> {
    let (a, b) = (background.first.rgb(), background.second.rgb());
    let blend = |a: [f32; 3], b: [f32; 3], m: f32| -> [f32; 3] { std::array::from_fn(|c| a[c] + (b[c] - a[c]) * m) };
    let (mut aa, mut ab, mut bb) = (1e-3, 0.0, 1e-3);
    let (mut ya, mut yb) = (a.map(|v| v * 1e-3), b.map(|v| v * 1e-3));
    for ((pixel, &m), _) in picture.0.iter().zip(mix).zip(visible).filter(|(_, v)| **v) {
        if squared(*pixel, blend(a, b, m)) >= OUTLIER {
            continue;
        }
        (aa, ab, bb) = (aa + (1.0 - m) * (1.0 - m), ab + (1.0 - m) * m, bb + m * m);
        for c in 0..3 {
            ya[c] += (1.0 - m) * pixel[c];
            yb[c] += m * pixel[c];
        }
    }
    let determinant = aa * bb - ab * ab;
    let a = std::array::from_fn(|c| (bb * ya[c] - ab * yb[c]) / determinant);
    let b = std::array::from_fn(|c| (aa * yb[c] - ab * ya[c]) / determinant);
    mix.iter().map(|&m| blend(a, b, m)).collect()
}
