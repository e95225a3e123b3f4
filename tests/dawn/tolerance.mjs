/** How far kernels may be from plain tensor operations. */

/** Of the largest value, which rounding in another order does not pass; and of kernels that multiply or store in f16. */
const EXACT = 1e-5;
const HALF = 2e-3;

/** The error of a kernel as a share of what it may be. */
export function excess(name, error) {
  return error / (name.startsWith('half') ? HALF : EXACT);
}
