//! Small symmetric matrices: products and the eigenvalues by Jacobi's rotations, in f64.

use std::ops::{Index, IndexMut};

/// Sweeps over all pairs; a matrix of some hundred rows needs about ten.
const MAX_SWEEPS: usize = 60;

/// A square matrix, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    side: usize,
    values: Vec<f64>,
}

/// `A = V diag(values) Vᵀ`, the columns of V being `vectors`.
#[derive(Debug, Clone)]
pub struct Eigen {
    pub values: Vec<f64>,
    pub vectors: Matrix,
}

impl Matrix {
    pub fn zeros(side: usize) -> Self {
        Self { side, values: vec![0.0; side * side] }
    }

    pub fn trace(&self) -> f64 {
        (0..self.side).map(|i| self[(i, i)]).sum()
    }

    pub fn times(&self, other: &Self) -> Self {
        let mut product = Self::zeros(self.side);
        for i in 0..self.side {
            for k in 0..self.side {
                let a = self[(i, k)];
                for j in 0..self.side {
                    product[(i, j)] += a * other[(k, j)];
                }
            }
        }
        product
    }
}

impl Index<(usize, usize)> for Matrix {
    type Output = f64;

    fn index(&self, (i, j): (usize, usize)) -> &f64 {
        &self.values[i * self.side + j]
    }
}

impl IndexMut<(usize, usize)> for Matrix {
    fn index_mut(&mut self, (i, j): (usize, usize)) -> &mut f64 {
        &mut self.values[i * self.side + j]
    }
}

impl Eigen {
    /// `V diag(f(values)) Vᵀ`.
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Matrix {
        let n = self.values.len();
        let mut result = Matrix::zeros(n);
        for (k, value) in self.values.iter().enumerate() {
            let value = f(*value);
            for i in 0..n {
                for j in 0..n {
                    result[(i, j)] += self.vectors[(i, k)] * value * self.vectors[(j, k)];
                }
            }
        }
        result
    }
}

/// Eigenvalues and eigenvectors of a symmetric matrix by cyclic Jacobi rotations (Golub & Van Loan, 8.5).
pub fn eigen(matrix: &Matrix) -> Eigen {
    let n = matrix.side;
    let mut a = matrix.clone();
    let mut v = Matrix::zeros(n);
    (0..n).for_each(|i| v[(i, i)] = 1.0);
    let scale: f64 = a.values.iter().map(|x| x * x).sum();
    for _ in 0..MAX_SWEEPS {
        let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
        let off: f64 = pairs.clone().map(|at| a[at] * a[at]).sum();
        if off <= 1e-26 * scale {
            break;
        }
        for (p, q) in pairs {
            if a[(p, q)] != 0.0 {
                rotate(&mut a, &mut v, p, q);
            }
        }
    }
    Eigen { values: (0..n).map(|i| a[(i, i)]).collect(), vectors: v }
}

/// Turns the plane (p, q) so that `a[p, q]` becomes 0.
fn rotate(a: &mut Matrix, v: &mut Matrix, p: usize, q: usize) {
    let tau = (a[(q, q)] - a[(p, p)]) / (2.0 * a[(p, q)]);
    let tangent = tau.signum() / (tau.abs() + tau.hypot(1.0));
    let cos = 1.0 / tangent.hypot(1.0);
    let sin = tangent * cos;
    let turn = |x: f64, y: f64| (cos * x - sin * y, sin * x + cos * y);
    for k in 0..a.side {
        (a[(k, p)], a[(k, q)]) = turn(a[(k, p)], a[(k, q)]);
    }
    for k in 0..a.side {
        (a[(p, k)], a[(q, k)]) = turn(a[(p, k)], a[(q, k)]);
        (v[(k, p)], v[(k, q)]) = turn(v[(k, p)], v[(k, q)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::random::Random;

    #[test]
    fn a_matrix_is_made_of_its_eigenvectors() {
        let n = 30;
        let mut random = Random::new(1, 0);
        let mut matrix = Matrix::zeros(n);
        for i in 0..n {
            for j in 0..=i {
                let value = random.gaussian();
                (matrix[(i, j)], matrix[(j, i)]) = (value, value);
            }
        }
        let decomposed = eigen(&matrix);
        let back = decomposed.map(|v| v);
        let worst = matrix.values.iter().zip(&back.values).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-10, "{worst}");
        let root = eigen(&matrix.times(&matrix)).map(|v| v.max(0.0).sqrt());
        let (twice, square) = (root.times(&root), matrix.times(&matrix));
        assert!(twice.values.iter().zip(&square.values).all(|(a, b)| (a - b).abs() < 1e-9));
    }

    #[test]
    fn eigenvalues_of_a_known_matrix() {
        let mut matrix = Matrix::zeros(2);
        (matrix[(0, 0)], matrix[(1, 1)], matrix[(0, 1)], matrix[(1, 0)]) = (2.0, 2.0, 1.0, 1.0);
        let mut values = eigen(&matrix).values;
        values.sort_by(f64::total_cmp);
        assert!((values[0] - 1.0).abs() < 1e-12 && (values[1] - 3.0).abs() < 1e-12);
    }
}
