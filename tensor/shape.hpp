// defines: Shape, up to four dimensions without an allocation
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "kernels/error.hpp"

namespace ptrain {

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) {
    REQUIRE_THAT(dims.size() <= 4, "a shape has at most four dimensions, got ", dims.size());
    for (int64_t d : dims) push_back(d);
  }
  void push_back(int64_t d) {
    REQUIRE_THAT(rank_ < 4 && d >= 0, "bad dimension ", d, " in a shape of rank ", rank_);
    dims_[size_t(rank_++)] = d;
  }
  int rank() const { return rank_; }
  int64_t operator[](int i) const {
    REQUIRE_THAT(i >= 0 && i < rank_, "no dimension ", i, " in a shape of rank ", rank_);
    return dims_[size_t(i)];
  }
  const int64_t* begin() const { return dims_.data(); }
  const int64_t* end() const { return dims_.data() + rank_; }
  int64_t size() const {
    int64_t n = 1;
    for (int64_t d : *this) n *= d;
    return n;
  }
  bool operator==(const Shape&) const = default;

 private:
  std::array<int64_t, 4> dims_{};
  int rank_ = 0;
};

inline std::string str(const Shape& s) {
  std::string text = "[";
  for (const int64_t* d = s.begin(); d != s.end(); ++d) text += (d == s.begin() ? "" : ", ") + std::to_string(*d);
  return text + "]";
}

}  // namespace ptrain
