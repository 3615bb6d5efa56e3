// defines: chi_square_survival(), the p value of likelihood-ratio and contingency tests
#pragma once

namespace ptrain::statistics {

// P(X ≥ x) for X ~ χ² with `degrees` ≥ 1 degrees of freedom; 1 for x ≤ 0. In closed form, all terms positive (Abramowitz and Stegun
// 26.4.4 and 26.4.5), so small values keep their digits.
double chi_square_survival(double x, int degrees);

}  // namespace ptrain::statistics
