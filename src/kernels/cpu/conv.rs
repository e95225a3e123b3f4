//! Convolution and its derivatives, as matrix products over unfolded windows: one of `[out, in · side²]` and `[in · side², places]` per
//! picture, which for a graph's backward pass is half again as fast as burn's.

use gemm::{Parallelism, gemm};

use super::bf16::{self, Operand};
use super::precision::{Precision, products};
use crate::kernels::conv::Window;

/// Sizes of a convolution of one picture.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub input: usize,
    pub output: usize,
    /// Height and width of the input, and of the output.
    pub from: [usize; 2],
    pub to: [usize; 2],
    pub window: Window,
}

impl Shape {
    /// Of a map `[in, height, width]` and a weight `[out, in, side, side]`.
    pub fn new([input, height, width]: [usize; 3], output: usize, window: Window) -> Self {
        let from = [height, width];
        let to = [0, 1].map(|axis| {
            let (before, after) = window.padding[axis];
            (from[axis] + before + after - window.side) / window.stride + 1
        });
        Self { input, output, from, to, window }
    }

    /// Values that a place is made of.
    fn depth(&self) -> usize {
        self.input * self.window.side.pow(2)
    }

    /// Places of the output.
    fn places(&self) -> usize {
        self.to[0] * self.to[1]
    }

    fn plane(&self) -> usize {
        self.from[0] * self.from[1]
    }

    /// Calls `row(cells, window, count)` for every run of places in a row of the output which see cells of the map that lie `stride`
    /// apart: where the first place is among the unfolded values, where its cell is among the input's, and how many there are.
    fn rows(&self, mut row: impl FnMut(usize, usize, usize)) {
        let Window { side, stride, padding: [(top, _), (left, _)], .. } = self.window;
        let ([height, width], [rows, columns]) = (self.from, self.to);
        for channel in 0..self.input {
            for dy in 0..side {
                for dx in 0..side {
                    let line = ((channel * side + dy) * side + dx) * self.places();
                    // Columns whose cell x · stride + dx − left lies in the map.
                    let first = left.saturating_sub(dx).div_ceil(stride);
                    let last = ((width + left).saturating_sub(dx)).div_ceil(stride).min(columns);
                    for y in 0..rows {
                        let Some(cell) = (y * stride + dy).checked_sub(top).filter(|cell| *cell < height) else {
                            continue;
                        };
                        if first < last {
                            let at = channel * height * width + cell * width + first * stride + dx - left;
                            row(line + y * columns + first, at, last - first);
                        }
                    }
                }
            }
        }
    }

    /// `[in, H, W]` as `[in · side², places]`; what lies outside of the map is 0.
    fn unfold(&self, x: &[f32], unfolded: &mut [f32]) {
        unfolded.fill(0.0);
        let stride = self.window.stride;
        self.rows(|to, from, count| {
            let to = &mut unfolded[to..to + count];
            match stride {
                1 => to.copy_from_slice(&x[from..from + count]),
                _ => to.iter_mut().zip(x[from..].iter().step_by(stride)).for_each(|(to, from)| *to = *from),
            }
        });
    }

    /// Adds what [`Shape::unfold`] spread to where it came from.
    fn fold(&self, unfolded: &[f32], x: &mut [f32]) {
        let stride = self.window.stride;
        self.rows(|from, to, count| {
            let from = &unfolded[from..from + count];
            match stride {
                1 => x[to..to + count].iter_mut().zip(from).for_each(|(to, from)| *to += from),
                _ => x[to..].iter_mut().step_by(stride).zip(from).for_each(|(to, from)| *to += from),
            }
        });
    }
}

/// `[B, in, H, W]` and `[out, in, side, side]` to `[B, out, H', W']`.
pub fn forward(x: &[f32], weight: &[f32], shape: Shape) -> Vec<f32> {
    let (depth, places) = (shape.depth(), shape.places());
    let picture = shape.input * shape.plane();
    let mut unfolded = vec![0.0; depth * places];
    let mut y = vec![0.0; x.len() / picture * shape.output * places];
    for (x, y) in x.chunks(picture).zip(y.chunks_mut(shape.output * places)) {
        shape.unfold(x, &mut unfolded);
        product(Matrix::rows(weight, depth), Matrix::rows(&unfolded, places), y, false);
    }
    y
}

/// The gradients of `x` and of `weight`, from that of what [`forward`] gave.
pub fn backward(x: &[f32], weight: &[f32], grad: &[f32], shape: Shape) -> [Vec<f32>; 2] {
    let (depth, places) = (shape.depth(), shape.places());
    let picture = shape.input * shape.plane();
    let mut unfolded = vec![0.0; depth * places];
    let (mut gx, mut gw) = (vec![0.0; x.len()], vec![0.0; weight.len()]);
    let pictures = x.chunks(picture).zip(gx.chunks_mut(picture)).zip(grad.chunks(shape.output * places));
    for ((x, gx), grad) in pictures {
        shape.unfold(x, &mut unfolded);
        product(Matrix::rows(grad, places), Matrix::rows(&unfolded, places).transposed(), &mut gw, true);
        product(Matrix::rows(weight, depth).transposed(), Matrix::rows(grad, places), &mut unfolded, false);
        shape.fold(&unfolded, gx);
    }
    [gx, gw]
}

/// A matrix in memory.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    shape: [usize; 2],
    /// Values from a row to the next, and from a column to the next.
    strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// Rows of `width`, one after the other.
    fn rows(values: &'a [f32], width: usize) -> Self {
        Self { values, shape: [values.len() / width.max(1), width], strides: [width, 1] }
    }

    fn transposed(self) -> Self {
        let [rows, columns] = self.shape;
        Self { shape: [columns, rows], strides: [self.strides[1], self.strides[0]], ..self }
    }
}

/// `to = a b`, or with what is there added; `to` is `[rows of a, columns of b]`.
fn product(a: Matrix, b: Matrix, to: &mut [f32], onto: bool) {
    let ([m, k], [inner, n]) = (a.shape, b.shape);
    assert!(k == inner && to.len() == m * n, "[{m}, {k}] times [{inner}, {n}] into {}", to.len());
    if products() == Precision::Bf16 {
        let left = Operand { values: a.values, outer: m, inner: k, by_inner: a.strides[1] == 1 };
        let right = Operand { values: b.values, outer: n, inner: k, by_inner: b.strides[0] == 1 };
        let y = bf16::product(left, right);
        match onto {
            true => to.iter_mut().zip(y).for_each(|(to, y)| *to += y),
            false => to.copy_from_slice(&y),
        }
        return;
    }
    let [a_strides, b_strides] = [a.strides, b.strides].map(|strides| strides.map(|s| s as isize));
    // SAFETY: `Matrix::rows` and `transposed` keep every index of a matrix within its values, and `to` holds m · n.
    unsafe {
        gemm(
            m,
            n,
            k,
            to.as_mut_ptr(),
            1,
            n as isize,
            onto,
            a.values.as_ptr(),
            a_strides[1],
            a_strides[0],
            b.values.as_ptr(),
            b_strides[1],
            b_strides[0],
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
