//! Plots as SVG: a curve over steps, and a table of ratios as a heat map.

use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const MARGIN: f64 = 56.0;

fn open(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\"><rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    )
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

/// `y` over `x` with axes from the smallest to the largest value.
pub fn curve(title: &str, x_label: &str, points: &[(f64, f64)]) -> String {
    let finite = || points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
    let range = |pick: fn(&(f64, f64)) -> f64| {
        let (low, high) = finite().map(pick).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low.is_finite() { (low, if high > low { high } else { low + 1.0 }) } else { (0.0, 1.0) }
    };
    let ((x0, x1), (y0, y1)) = (range(|p| p.0), range(|p| p.1));
    let place = |&(x, y): &(f64, f64)| {
        let across = MARGIN + (x - x0) / (x1 - x0) * (WIDTH - 2.0 * MARGIN);
        let down = HEIGHT - MARGIN - (y - y0) / (y1 - y0) * (HEIGHT - 2.0 * MARGIN);
        format!("{across:.1},{down:.1}")
    };
    let mut svg = open(WIDTH, HEIGHT);
    let line = finite().map(place).collect::<Vec<_>>().join(" ");
    let (right, bottom) = (WIDTH - MARGIN, HEIGHT - MARGIN);
    let _ = write!(svg, "<path d=\"M{MARGIN} {MARGIN}V{bottom}H{right}\" fill=\"none\" stroke=\"#888\"/>");
    let _ = write!(svg, "<polyline points=\"{line}\" fill=\"none\" stroke=\"#2255aa\" stroke-width=\"1.5\"/>");
    text(&mut svg, WIDTH / 2.0, 24.0, "middle", title);
    text(&mut svg, WIDTH / 2.0, HEIGHT - 12.0, "middle", x_label);
    text(&mut svg, MARGIN, bottom + 16.0, "middle", &format!("{x0}"));
    text(&mut svg, right, bottom + 16.0, "middle", &format!("{x1}"));
    text(&mut svg, MARGIN - 6.0, bottom, "end", &format!("{y0:.3}"));
    text(&mut svg, MARGIN - 6.0, MARGIN + 4.0, "end", &format!("{y1:.3}"));
    svg + "</svg>\n"
}

/// A row a region (clean timesteps first), a column a layer; the darker, the fewer tokens are kept.
pub fn heat_map(title: &str, table: &[Vec<f64>]) -> String {
    const CELL: f64 = 48.0;
    let columns = table.iter().map(Vec::len).max().unwrap_or(0);
    let (left, top) = (96.0, 56.0);
    let (width, height) = (left + CELL * columns as f64 + 16.0, top + CELL * table.len() as f64 + 16.0);
    let mut svg = open(width, height);
    text(&mut svg, width / 2.0, 20.0, "middle", title);
    (0..columns)
        .for_each(|i| text(&mut svg, left + CELL * (i as f64 + 0.5), top - 8.0, "middle", &format!("layer {i}")));
    for (r, row) in table.iter().enumerate() {
        let y = top + CELL * r as f64;
        text(&mut svg, left - 8.0, y + CELL / 2.0 + 4.0, "end", &format!("region {r}"));
        for (i, &keep) in row.iter().enumerate() {
            let x = left + CELL * i as f64;
            let light = 30.0 + 65.0 * keep.clamp(0.0, 1.0);
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{CELL}\" height=\"{CELL}\" fill=\"hsl(215 60% {light:.0}%)\"/>"
            );
            text(&mut svg, x + CELL / 2.0, y + CELL / 2.0 + 4.0, "middle", &format!("{keep:.2}"));
        }
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_from_corner_to_corner() {
        let svg = curve("loss", "step", &[(0.0, 1.0), (1.0, f64::NAN), (10.0, 0.5)]);
        assert!(svg.contains("points=\"56.0,56.0 584.0,264.0\""), "{svg}");
        assert!(curve("loss", "step", &[]).ends_with("</svg>\n"));
    }

    #[test]
    fn a_heat_map_has_a_cell_a_ratio() {
        let svg = heat_map("keep", &[vec![1.0, 0.5], vec![0.25, 0.75]]);
        assert_eq!(svg.matches("<rect x=").count(), 4);
        assert!(svg.contains(">0.25<"));
    }
}
