//! The shape that explains best what differs from the background: each of the nine is moved and scaled until it fits.

use std::sync::LazyLock;

use super::picture::{AREA, Picture, SIDE, nearest_color, squared};
use crate::data::scenes::render::coverage;
use crate::data::scenes::{Color, Shape};

/// Squared difference from the background above which a pixel counts as object when a fit begins.
const DIFFERENT: f32 = 0.06;
/// Steps of the search for every shape, in coordinates: from, to.
const COARSE: (f32, f32) = (0.06, 0.03);
/// And for the best few.
const FINE: (f32, f32) = (0.02, 0.006);
const FINALISTS: usize = 4;
/// Squared difference from the background below which nothing is seen.
const INVISIBLE: f32 = 0.01;
const RADII: std::ops::RangeInclusive<f32> = 0.1..=0.8;
/// How far beyond its outline an object may disturb the background.
const MARGIN: f32 = 0.06;

/// The part of the picture an object is looked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    All,
    Left,
    Right,
    Top,
    Bottom,
}

impl Window {
    fn contains(self, pixel: usize) -> bool {
        let (x, y) = (pixel % SIDE, pixel / SIDE);
        match self {
            Self::All => true,
            Self::Left => x < SIDE / 2,
            Self::Right => x >= SIDE / 2,
            Self::Top => y < SIDE / 2,
            Self::Bottom => y >= SIDE / 2,
        }
    }
}

/// The best object of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    pub shape: Shape,
    pub color: Color,
    pub radius: f32,
    pub x: f32,
    pub y: f32,
    /// Share of the difference from the background that it explains where it lies.
    pub explained: f32,
}

/// Area and centroid of a shape of radius 1.
static MOMENTS: LazyLock<Vec<Moments>> = LazyLock::new(|| {
    Shape::ALL
        .iter()
        .map(|&shape| {
            let mut mask = vec![0.0; AREA];
            coverage(shape, [0.0, 0.0, 0.5], SIDE, |i, m| mask[i] = m);
            moments(mask.into_iter().enumerate()).scaled(2.0)
        })
        .collect()
});

#[derive(Debug, Clone, Copy)]
struct Moments {
    area: f32,
    x: f32,
    y: f32,
}

impl Moments {
    fn scaled(self, s: f32) -> Self {
        Self { area: self.area * s * s, x: self.x * s, y: self.y * s }
    }
}

fn moments(weights: impl Iterator<Item = (usize, f32)>) -> Moments {
    let pixel = 2.0 / SIDE as f32;
    let (mut sum, mut x, mut y) = (1e-6, 0.0, 0.0);
    for (i, w) in weights {
        sum += w;
        x += w * ((i % SIDE) as f32 + 0.5).mul_add(pixel, -1.0);
        y += w * ((i / SIDE) as f32 + 0.5).mul_add(pixel, -1.0);
    }
    Moments { area: sum * pixel * pixel, x: x / sum, y: y / sum }
}

/// The best of the nine shapes in `window`; the search begins at what differs from the background and at `start` `[x, y, radius]`.
pub fn fit(picture: &Picture, ground: &[[f32; 3]], window: Window, start: [f32; 3]) -> Found {
    let scene = Residual::new(picture, ground, window);
    let different = scene.pixels.iter().enumerate().filter(|(_, p)| p.square > DIFFERENT).map(|(i, _)| (i, 1.0));
    let blob = moments(different);
    let begin = |(&shape, own): (&Shape, &Moments)| {
        let radius = (blob.area / own.area).sqrt().clamp(*RADII.start(), *RADII.end());
        let moved = [blob.x - own.x * radius, blob.y - own.y * radius, radius];
        let (a, b) = (scene.cost(shape, moved), scene.cost(shape, start));
        let begin = if b < a { (b, start) } else { (a, moved) };
        (shape, descend(|at| scene.cost(shape, at), begin, COARSE))
    };
    let mut fitted: Vec<(Shape, (f32, [f32; 3]))> = Shape::ALL.iter().zip(MOMENTS.iter()).map(begin).collect();
    fitted.sort_by(|a, b| a.1.0.total_cmp(&b.1.0));
    fitted.truncate(FINALISTS);
    for (shape, best) in &mut fitted {
        *best = descend(|at| scene.cost(*shape, at), *best, FINE);
    }
    let best = fitted.into_iter().min_by(|a, b| a.1.0.total_cmp(&b.1.0));
    let (shape, (_, at)) = best.unwrap_or((Shape::Circle, (0.0, start)));
    let (color, explained) = scene.color(shape, at);
    Found { shape, color: nearest_color(color), radius: at[2], x: at[0], y: at[1], explained }
}

/// The two windows that two objects are in, side by side or one above the other, each with where a search may begin.
pub fn halves(picture: &Picture, ground: &[[f32; 3]]) -> [(Window, [f32; 3]); 2] {
    let scene = Residual::new(picture, ground, Window::All);
    let difference = |x: f32, y: f32| {
        let mut sum = 0.0;
        coverage(Shape::Circle, [x, y, 0.36], SIDE, |i, m| sum += m * scene.pixels[i].square.min(1.0));
        sum
    };
    let (aside, above) = ([-0.48, 0.0, 0.34], [0.0, -0.48, 0.34]);
    let (beside, below) = ([0.48, 0.0, 0.34], [0.0, 0.48, 0.34]);
    let sum = |a: [f32; 3], b: [f32; 3]| difference(a[0], a[1]) + difference(b[0], b[1]);
    if sum(aside, beside) >= sum(above, below) {
        [(Window::Left, aside), (Window::Right, beside)]
    } else {
        [(Window::Top, above), (Window::Bottom, below)]
    }
}

/// Pixels that the objects hide or touch.
pub fn footprint(found: &[Found]) -> Vec<bool> {
    let mut hidden = vec![false; AREA];
    for f in found {
        coverage(f.shape, [f.x, f.y, f.radius + MARGIN], SIDE, |i, _| hidden[i] = true);
    }
    hidden
}

/// Coordinate search: a step in each direction is kept where it helps; where none does, steps are halved.
fn descend(
    cost: impl Fn([f32; 3]) -> f32,
    (mut least, mut at): (f32, [f32; 3]),
    (mut step, last): (f32, f32),
) -> (f32, [f32; 3]) {
    while step >= last {
        let before = least;
        for axis in 0..3 {
            for sign in [1.0, -1.0] {
                let mut next = at;
                next[axis] += sign * step;
                if next[2] != next[2].clamp(*RADII.start(), *RADII.end()) || next[0].abs() > 0.9 || next[1].abs() > 0.9
                {
                    continue;
                }
                let found = cost(next);
                if found < least {
                    (least, at) = (found, next);
                    break;
                }
            }
        }
        if least >= before {
            step /= 2.0;
        }
    }
    (least, at)
}

/// What is left of a window without its background.
struct Residual {
    pixels: Vec<Pixel>,
}

#[derive(Clone, Copy)]
struct Pixel {
    /// Picture − background.
    value: [f32; 3],
    ground: [f32; 3],
    /// `|value|²`; 0 outside the window.
    square: f32,
    /// 1 in the window, else 0.
    inside: f32,
}

impl Residual {
    fn new(picture: &Picture, ground: &[[f32; 3]], window: Window) -> Self {
        let pixel = |(i, (&p, &g)): (usize, (&[f32; 3], &[f32; 3]))| {
            let inside = f32::from(u8::from(window.contains(i)));
            let value = [p[0] - g[0], p[1] - g[1], p[2] - g[2]];
            Pixel { value, ground: g, square: inside * squared(p, g), inside }
        };
        Self { pixels: picture.0.iter().zip(ground).enumerate().map(pixel).collect() }
    }

    /// Squared error of the window with the shape drawn in the colour that suits it best, less that of the background alone.
    ///
    /// With residual R, background B, coverage m and colour c the pixel's error is `|R + m B − m c|²`; the best c is
    /// `Σ m q / Σ m²`, `q = R + m B`.
    fn cost(&self, shape: Shape, at: [f32; 3]) -> f32 {
        let sums = self.sums(shape, at);
        sums.after - sums.before - squared(sums.mq, [0.0; 3]) / sums.mm
    }

    /// The best colour, and the share of the difference under the shape that it explains.
    fn color(&self, shape: Shape, at: [f32; 3]) -> ([f32; 3], f32) {
        let sums = self.sums(shape, at);
        let left = sums.after - squared(sums.mq, [0.0; 3]) / sums.mm;
        (sums.mq.map(|v| v / sums.mm), (sums.before - left) / sums.before.max(INVISIBLE * sums.mm))
    }

    fn sums(&self, shape: Shape, at: [f32; 3]) -> Sums {
        let mut sums = Sums { mm: 1e-6, ..Sums::default() };
        coverage(shape, at, SIDE, |i, m| {
            let Pixel { value: r, ground: b, square, inside } = self.pixels[i];
            let q = [r[0] + m * b[0], r[1] + m * b[1], r[2] + m * b[2]];
            sums.before += square;
            sums.after += inside * squared(q, [0.0; 3]);
            sums.mm += inside * m * m;
            let m = inside * m;
            sums.mq = [sums.mq[0] + m * q[0], sums.mq[1] + m * q[1], sums.mq[2] + m * q[2]];
        });
        sums
    }
}

#[derive(Debug, Default)]
struct Sums {
    /// Squared error of the background alone, where the shape is.
    before: f32,
    /// `Σ |q|²`: the error with the shape in black.
    after: f32,
    mm: f32,
    mq: [f32; 3],
}
