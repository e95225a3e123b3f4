//! Shapes as signed distances, negative inside; y points down.

use super::vocabulary::Shape;

/// Signed distance of (x, y) from a shape of radius `r` centred at the origin, all in units of half the picture.
///
/// Some of these are bounds rather than distances away from the outline, which is where they are read.
#[inline(always)]
pub fn distance(shape: Shape, x: f32, y: f32, r: f32) -> f32 {
    match shape {
        Shape::Circle => length(x, y) - r,
        Shape::Square => x.abs().max(y.abs()) - 0.84 * r,
        Shape::Diamond => (x.abs() + y.abs() - 1.1 * r) * 0.707,
        Shape::Ring => (length(x, y) - 0.74 * r).abs() - 0.26 * r,
        Shape::Cross => (x.abs() - r).max(y.abs() - 0.32 * r).min((x.abs() - 0.32 * r).max(y.abs() - r)),
        Shape::Moon => (length(x, y) - r).max(0.82 * r - length(x - 0.48 * r, y + 0.1 * r)),
        Shape::Triangle => {
            let y = y - 0.12 * r;
            (0.866 * x.abs() - 0.5 * y).max(y) - 0.55 * r
        }
        Shape::Star => star(x, y, r),
        Shape::Heart => {
            let (u, v) = (x.abs() / r, 0.25 - y / r);
            let lobe = length(u - 0.45, v - 0.3) - 0.55;
            let wedge = (0.72 * u - 0.69 * v - 0.49).max(v - 0.3);
            lobe.min(wedge) * r
        }
    }
}

/// How far a shape reaches from its centre, in units of its radius.
pub fn reach(shape: Shape) -> f32 {
    match shape {
        Shape::Circle | Shape::Ring | Shape::Moon => 1.0,
        Shape::Square => 0.84,
        Shape::Diamond | Shape::Star => 1.1,
        Shape::Cross => 1.0,
        Shape::Triangle => 1.15,
        Shape::Heart => 1.01,
    }
}

fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// Five points: the plane is folded onto one half of one point, then the distance is that from its edge's line.
fn star(x: f32, y: f32, r: f32) -> f32 {
    const COS: f32 = 0.809_017; // of 36°, half a point's angle
    const SIN: f32 = 0.587_785_24;
    const OUTER: f32 = 1.08;
    const INNER: f32 = 0.45;
    let (mut px, mut py) = (x.abs(), -y);
    for side in [1.0, -1.0] {
        let beyond = 2.0 * (side * COS * px - SIN * py).max(0.0);
        (px, py) = (px - side * COS * beyond, py + SIN * beyond);
    }
    let px = px.abs();
    // The edge runs from the tip (0, OUTER) to (INNER sin 36°, INNER cos 36°).
    const EX: f32 = INNER * SIN;
    const EY: f32 = INNER * COS - OUTER;
    const LENGTH: f32 = 0.763_240_1;
    ((py - OUTER * r) * EX - px * EY) / LENGTH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edge_of_the_star_has_its_length() {
        let (ex, ey) = (0.45 * 36f64.to_radians().sin(), 0.45 * 36f64.to_radians().cos() - 1.08);
        let pairs = [
            (ex.hypot(ey), 0.763_240_1),
            (36f64.to_radians().cos(), 0.809_017),
            (36f64.to_radians().sin(), 0.587_785_24),
        ];
        for (exact, constant) in pairs {
            assert!((exact - constant).abs() < 1e-6, "{exact}");
        }
    }

    #[test]
    fn no_shape_reaches_beyond_its_reach() {
        for &shape in Shape::ALL {
            let far = reach(shape) + 0.01;
            for i in -200..=200 {
                let t = i as f32 / 200.0 * 2.0;
                for (x, y) in [(t, far), (t, -far), (far, t), (-far, t)] {
                    assert!(distance(shape, x, y, 1.0) > 0.0, "{shape:?} at {x} {y}");
                }
            }
        }
    }
}
