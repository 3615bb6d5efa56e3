// defines: quantile() of a sorted sample, as numpy.quantile's default
#pragma once

#include <span>

namespace ptrain::statistics {

// Linear interpolation between order statistics (type 7 of Hyndman and Fan, The American Statistician 50, 1996): position q·(n − 1).
// `sorted` is ascending and not empty, 0 ≤ q ≤ 1.
double quantile(std::span<const double> sorted, double q);

}  // namespace ptrain::statistics
