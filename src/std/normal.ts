/** The normal distribution: density's integral and its inverse. */

/**
 * Φ(z), the standard normal's cumulative distribution. Absolute error under 1.2e-7.
 * Source: W. J. Cody's form as in Numerical Recipes, "erfcc" (Chebyshev fit of erfc).
 */
export function normalCdf(z: number): number {
  const x = Math.abs(z) * Math.SQRT1_2;
  const t = 1 / (1 + 0.5 * x);
  const fit =
    -1.26551223 +
    t *
      (1.00002368 +
        t *
          (0.37409196 +
            t *
              (0.09678418 +
                t *
                  (-0.18628806 +
                    t *
                      (0.27886807 +
                        t *
                          (-1.13520398 +
                            t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
  const tail = 0.5 * t * Math.exp(-x * x + fit);
  return z >= 0 ? 1 - tail : tail;
}
