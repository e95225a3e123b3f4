//! The mask of an inpainting: which pixels are redrawn, and how much of the drawing shows at its soft edge.

use super::crop::Region;
use crate::error::{Error, Result};

/// Reach of a soft edge in pixels, at most.
const MAX_FEATHER: f64 = 1024.0;

/// The share of every pixel that is redrawn: 1 inside the mask, falling to 0 over the feather outside of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    pub width: usize,
    pub height: usize,
    /// `[height, width]`.
    pub weight: Vec<f32>,
}

impl Mask {
    /// Values of at least one half are redrawn. `values` `[height, width]`; a mask of another size than the image, but of its
    /// aspect, is scaled to it.
    ///
    /// # Errors
    /// `InvalidInput` naming `mask`: another aspect than the image's, or nothing to redraw.
    pub fn new(values: &[f32], size: (usize, usize), image: (usize, usize)) -> Result<Self> {
        let (width, height) = image;
        // The mask as wide as the image is as high, up to the rounding of a side and to half a pixel of the mask.
        let scale = width as f64 / size.0 as f64;
        if (size.1 as f64 * scale - height as f64).abs() > (0.5 * scale).max(1.0) {
            let reason =
                format!("{} x {} pixels have another aspect than the image's {width} x {height}", size.0, size.1);
            return Err(Error::input("mask", reason));
        }
        let row = |y: usize| &values[(y * size.1 / height) * size.0..][..size.0];
        let at = |y: usize, x: usize| if row(y)[x * size.0 / width] >= 0.5 { 1.0 } else { 0.0 };
        let weight: Vec<f32> =
            (0..height).flat_map(|y| (0..width).map(move |x| (y, x))).map(|(y, x)| at(y, x)).collect();
        if !weight.contains(&1.0) {
            return Err(Error::input("mask", "it is empty: no pixel is to be redrawn"));
        }
        Ok(Self { width, height, weight })
    }

    /// With an edge that fades over `feather` pixels outside.
    ///
    /// # Errors
    /// `InvalidInput` on `feather` outside 0 … 1024.
    pub fn feathered(mut self, feather: f64) -> Result<Self> {
        if !(0.0..=MAX_FEATHER).contains(&feather) {
            return Err(Error::input("feather", format!("{feather} is not in 0 … {MAX_FEATHER}")));
        }
        if feather > 0.0 {
            let outside = |d: f32| (1.0 - f64::from(d).sqrt() / (feather + 1.0)).max(0.0) as f32;
            self.weight = squared_distance(&self.weight, self.width).into_iter().map(outside).collect();
        }
        Ok(self)
    }

    /// Share of the pixels that are redrawn at all.
    pub fn share(&self) -> f64 {
        self.weight.iter().filter(|w| **w > 0.0).count() as f64 / self.weight.len().max(1) as f64
    }

    /// The box around every pixel that is redrawn at all.
    pub fn bounds(&self) -> Region {
        let drawn = |row: &[f32]| row.iter().any(|w| *w > 0.0);
        let rows: Vec<&[f32]> = self.weight.chunks_exact(self.width).collect();
        let top = rows.iter().position(|row| drawn(row)).unwrap_or(0);
        let bottom = rows.iter().rposition(|row| drawn(row)).unwrap_or(0);
        let left = rows.iter().filter_map(|row| row.iter().position(|w| *w > 0.0)).min().unwrap_or(0);
        let right = rows.iter().filter_map(|row| row.iter().rposition(|w| *w > 0.0)).max().unwrap_or(0);
        Region { x: left, y: top, width: right - left + 1, height: bottom - top + 1 }
    }

    /// Weights of the cells `[rows, columns]` that `region` is drawn with, each the largest of its pixels: a cell is redrawn if any
    /// of its pixels is, so that nothing of what was there shows through. Where cells hold no whole pixel, the nearest.
    pub fn cells(&self, region: Region, columns: usize, rows: usize) -> Vec<f32> {
        let span = |i: usize, cells: usize, pixels: usize, start: usize| {
            let (low, high) = (i * pixels / cells, ((i + 1) * pixels).div_ceil(cells));
            start + low..start + high.max(low + 1).min(pixels)
        };
        let mut cells = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            for column in 0..columns {
                let across = span(column, columns, region.width, region.x);
                let lines = span(row, rows, region.height, region.y);
                let largest =
                    |y: usize| self.weight[y * self.width..][across.clone()].iter().copied().fold(0.0, f32::max);
                cells.push(lines.map(largest).fold(0.0, f32::max));
            }
        }
        cells
    }
}

/// Squared distance in pixels of every place from the nearest that is set (Felzenszwalb & Huttenlocher): rows, then columns.
fn squared_distance(set: &[f32], width: usize) -> Vec<f32> {
    let height = set.len() / width.max(1);
    let far = 2.0 * (width * width + height * height) as f32;
    let mut field: Vec<f32> = set.iter().map(|v| if *v >= 1.0 { 0.0 } else { far }).collect();
    for row in field.chunks_exact_mut(width) {
        let line = row.to_vec();
        envelope(&line, |i, v| row[i] = v);
    }
    for x in 0..width {
        let line: Vec<f32> = (0..height).map(|y| field[y * width + x]).collect();
        envelope(&line, |y, v| field[y * width + x] = v);
    }
    field
}

/// `min over j of (i − j)² + line[j]` for every i: the lower envelope of parabolas.
fn envelope(line: &[f32], mut put: impl FnMut(usize, f32)) {
    let height = |j: usize, i: f64| f64::from(line[j]) + (i - j as f64) * (i - j as f64);
    let crossing = |a: usize, b: usize| {
        let lift = f64::from(line[b]) - f64::from(line[a]) + (b * b) as f64 - (a * a) as f64;
        lift / (2.0 * (b as f64 - a as f64))
    };
    // Parabolas of the envelope, each with where it begins.
    let mut parts: Vec<(usize, f64)> = Vec::new();
    for j in 0..line.len() {
        let mut start = f64::NEG_INFINITY;
        while let Some(&(last, from)) = parts.last() {
            start = crossing(last, j);
            if start > from {
                break;
            }
            parts.pop();
            start = f64::NEG_INFINITY;
        }
        parts.push((j, start));
    }
    let mut part = 0;
    for i in 0..line.len() {
        while parts.get(part + 1).is_some_and(|&(_, from)| from <= i as f64) {
            part += 1;
        }
        put(i, height(parts[part].0, i as f64) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(size: (usize, usize), set: impl Fn(usize, usize) -> bool) -> Mask {
        let values = |i: usize| if set(i % size.0, i / size.0) { 1.0 } else { 0.0 };
        Mask::new(&(0..size.0 * size.1).map(values).collect::<Vec<f32>>(), size, size).unwrap()
    }

    #[test]
    fn a_half_is_redrawn_and_less_is_not() {
        let mask = Mask::new(&[0.0, 0.49, 0.5, 1.0], (2, 2), (2, 2)).unwrap();
        assert_eq!(mask.weight, [0.0, 0.0, 1.0, 1.0]);
        assert_eq!((mask.share(), mask.bounds()), (0.5, Region { x: 0, y: 1, width: 2, height: 1 }));
    }

    #[test]
    fn another_size_is_scaled_another_aspect_refused() {
        let mask = Mask::new(&[0.0, 1.0, 0.0, 0.0], (2, 2), (6, 6)).unwrap();
        assert_eq!(mask.bounds(), Region { x: 3, y: 0, width: 3, height: 3 });
        assert!(Mask::new(&[1.0; 50 * 33], (50, 33), (100, 67)).is_ok(), "rounded sides");
        for (size, image) in [((8, 4), (4, 8)), ((4, 4), (100, 120)), ((100, 100), (100, 102))] {
            let error = Mask::new(&vec![1.0; size.0 * size.1], size, image).unwrap_err().to_string();
            assert!(error.starts_with("mask: "), "{error}");
        }
        assert!(Mask::new(&[0.4; 4], (2, 2), (2, 2)).unwrap_err().to_string().contains("empty"));
    }

    #[test]
    fn feathering_fades_outwards_with_the_distance() {
        let set = |x: usize, y: usize| (x, y) == (5, 4) || (x, y) == (12, 9);
        let soft = mask((17, 13), set).feathered(3.0).unwrap();
        for y in 0..13usize {
            for x in 0..17usize {
                let distance = |cx: usize, cy: usize| (x.abs_diff(cx) as f64).hypot(y.abs_diff(cy) as f64);
                let expected = (1.0f64 - distance(5, 4).min(distance(12, 9)) / 4.0).max(0.0);
                assert!((f64::from(soft.weight[y * 17 + x]) - expected).abs() < 1e-6, "{x} {y}");
            }
        }
        let hard = mask((17, 13), set);
        assert_eq!(hard.clone().feathered(0.0).unwrap(), hard);
        for feather in [-1.0, f64::NAN, 1e9] {
            assert!(hard.clone().feathered(feather).unwrap_err().to_string().starts_with("feather: "));
        }
    }

    #[test]
    fn a_cell_is_redrawn_if_any_of_its_pixels_is() {
        let mask = mask((16, 8), |x, y| (x, y) == (7, 7));
        let whole = Region { x: 0, y: 0, width: 16, height: 8 };
        assert_eq!(mask.cells(whole, 4, 2), [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(mask.cells(whole, 16, 8), mask.weight);
        let part = Region { x: 4, y: 4, width: 4, height: 4 };
        assert_eq!(mask.cells(part, 2, 2), [0.0, 0.0, 0.0, 1.0]);
        // More cells than pixels: four of them lie in the one pixel.
        assert_eq!(mask.cells(part, 8, 8).iter().sum::<f32>(), 4.0);
    }
}
