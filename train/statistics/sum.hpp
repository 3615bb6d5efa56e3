// defines: Sum, an accumulator whose error does not grow with the number of terms
#pragma once

#include <cmath>

namespace ptrain::statistics {

// Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", ZAMM 54 (1974): the part of each term that
// does not fit into the total is kept beside it. Means over a million images stay exact to the last digits.
class Sum {
 public:
  void add(double x) {
    const double total = total_ + x;
    lost_ += std::fabs(total_) >= std::fabs(x) ? (total_ - total) + x : (x - total) + total_;
    total_ = total;
  }
  double value() const { return total_ + lost_; }

 private:
  double total_ = 0, lost_ = 0;
};

}  // namespace ptrain::statistics
