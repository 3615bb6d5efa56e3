// An inverted residual strip by strip: what lies between its convolutions is several times as large as its input and its output, and stays
// in the second-level cache when only some rows of it are there at a time.
#include <cstring>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/depthwise.hpp"
#include "kernels/cpu/pointwise.hpp"

namespace ptrain::cpu {
namespace {

constexpr int64_t kNear = 1 << 17;  // floats between the convolutions, 512 KiB: half of the second-level cache

// One image, in strips of rows of the output.
struct Strips {
  const PointwiseWeights* expand;  // null: x is wide already
  const PackedDepthwise& depthwise;
  Act depthwise_act;
  const PointwiseWeights& project;

  // Rows [from, to) of x that the output rows [first, last) see.
  std::pair<int64_t, int64_t> window(int64_t first, int64_t last) const {
    const DepthwiseShape& s = depthwise.shape;
    return {std::max<int64_t>(0, first * s.stride - s.pad_h), std::min(s.h, (last - 1) * s.stride - s.pad_h + s.r)};
  }

  int64_t rows_at_a_time() const {
    const DepthwiseShape& s = depthwise.shape;
    const int64_t wide_row = expand ? s.w * s.c : 0, deep_row = s.q() * s.c;
    return std::clamp<int64_t>((kNear - (s.r - s.stride) * wide_row) / (s.stride * wide_row + deep_row), 1, s.p());
  }

  // `wide`, `deep`: room for as many rows as a strip needs; the whole image always suffices.
  void run(const float* x, float* wide, float* deep, const float* residual, float* y) const {
    const DepthwiseShape& s = depthwise.shape;
    const int64_t step = rows_at_a_time(), wide_row = s.w * s.c;
    int64_t from = 0, to = 0;  // the rows that `wide` holds
    for (int64_t first = 0; first < s.p(); first += step) {
      const int64_t last = std::min(first + step, s.p()), pixels = (last - first) * s.q();
      if (expand) {
        const auto [begin, end] = window(first, last);
        const int64_t kept = std::max<int64_t>(0, to - begin);
        if (kept > 0) std::memmove(wide, wide + (begin - from) * wide_row, size_t(kept * wide_row) * sizeof(float));
        from = begin, to = end;
        pointwise(*expand, (to - begin - kept) * s.w, x + (begin + kept) * s.w * expand->c, nullptr, wide + kept * wide_row);
      }
      depthwise_strip(depthwise, depthwise_act, first, last, expand ? wide : x, from, deep);
      const int64_t at = first * s.q() * project.k;
      pointwise(project, pixels, deep, residual ? residual + at : nullptr, y + at);
    }
  }
};

}  // namespace

void CpuBackend::do_inverted_residual(Exec& e, const InvertedResidual& r, Buffer x, Buffer residual, Buffer y) {
  const auto* expand = dynamic_cast<const PackedPointwise*>(r.expand.weights);
  const auto* depthwise = dynamic_cast<const PackedDepthwise*>(r.depthwise_weights);
  const auto* project = dynamic_cast<const PackedPointwise*>(r.project.weights);
  const DepthwiseShape& s = r.depthwise.conv;
  const bool whole_images = s.n >= e.threads();  // else threads share an image, layer by layer
  if ((r.expand.weights && !expand) || !depthwise || !project || !depthwise_is_fast(s) || !whole_images)
    return Backend::do_inverted_residual(e, r, x, residual, y);

  DepthwiseShape one = s;
  one.n = 1;
  REQUIRE_THAT(depthwise->shape == one && project->weights.are_of(r.project.f) && (!expand || expand->weights.are_of(r.expand.f)),
               "inverted_residual: the weights were packed for other convolutions");
  const Strips strips{expand ? &expand->weights : nullptr, *depthwise, r.depthwise.act, project->weights};
  const int64_t x_size = x.size / s.n, wide_size = s.x_size() / s.n, deep_size = s.y_size() / s.n, y_size = y.size / s.n;
  parallel(e, s.n, deep_size, [&](Part part) {
    float* wide = expand ? r.wide.as<float>() + part.begin * wide_size : nullptr;
    float* deep = r.deep.as<float>() + part.begin * deep_size;
    for (int64_t i = part.begin; i < part.end; ++i)
      strips.run(x.as<const float>() + i * x_size, wide, deep, r.project.f.residual ? residual.as<const float>() + i * y_size : nullptr,
                 y.as<float>() + i * y_size);
  });
}

}  // namespace ptrain::cpu
