#include "tests/support/grad.hpp"

#include <cmath>

#include "tests/support/support.hpp"

namespace ptrain::test {
namespace {

std::vector<double> uniform(int64_t n, uint32_t key, double low, double high) {
  std::vector<double> v(static_cast<size_t>(n));
  for (size_t i = 0; i < v.size(); ++i) v[i] = low + (high - low) * double(random_unit(11, Purpose::test, key, 0, 0, uint32_t(i)));
  return v;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

ReferencePass::ReferencePass()
    : memory(std::make_shared<Pool>(make_reference_backend(), Device{DeviceKind::reference})),
      exec(memory->backend().make_exec(1)) {}

Tensor ReferencePass::random(Shape shape, uint32_t key, double low, double high) const {
  return values(uniform(shape.size(), key, low, high), shape);
}

Tensor ReferencePass::values(const std::vector<double>& v, Shape shape, DType dtype) const {
  return Tensor::from(std::span<const double>(v), shape, dtype, memory);
}

std::string grad_fault(const std::vector<Tensor>& leaves, const Graph& f) {
  ReferencePass pass;
  pass.memory = leaves.at(0).memory();
  Context c = pass.context();
  for (const Tensor& leaf : leaves) {
    if (leaf.dtype() != DType::float64) return concat("a leaf is ", str(leaf.dtype()), ": differences need float64");
    pass.tape.watch(leaf);
  }
  const Tensor y = f(c, leaves);
  const std::vector<double> weights = uniform(y.size(), 1001, 0.5, 1.5);
  if (!pass.tape.wants_grad(y)) return "the result does not depend on the leaves";
  pass.tape.backward(c, y, pass.values(weights, y.shape()));

  // F with leaf i moved by step·d.
  const auto moved = [&](size_t i, const std::vector<double>& d, double step) {
    std::vector<double> v = leaves[i].to_doubles();
    for (size_t k = 0; k < v.size(); ++k) v[k] += step * d[k];
    std::vector<Tensor> at = leaves;
    at[i] = pass.values(v, leaves[i].shape());
    Tape none;
    Context frozen{c.backend, c.exec, c.memory, none};
    return dot(f(frozen, at).to_doubles(), weights);
  };

  constexpr double kStep = 1e-5;  // the error of the difference is about step² ≈ 1e-10, that of rounding 1e-16/step = 1e-11
  for (size_t i = 0; i < leaves.size(); ++i) {
    if (!pass.tape.has_grad(leaves[i])) return concat("leaf ", i, ": no gradient");
    const Tensor& g = pass.tape.grad(leaves[i]);
    if (!(g.shape() == leaves[i].shape()))
      return concat("leaf ", i, ": the gradient has shape ", str(g.shape()), ", the leaf ", str(leaves[i].shape()));
    const std::vector<double> gradient = g.to_doubles();
    const double norm = std::sqrt(dot(gradient, gradient));
    if (!(norm > 0)) return concat("leaf ", i, ": the whole gradient is ", norm, ", which proves nothing");
    for (uint32_t direction = 0; direction < 3; ++direction) {
      const std::vector<double> d = uniform(leaves[i].size(), 2000 + direction, -1, 1);
      const double slope = dot(gradient, d), want = (moved(i, d, kStep) - moved(i, d, -kStep)) / (2 * kStep);
      if (!close(slope, want, 1e-7 * norm, 1e-6))
        return concat("leaf ", i, ": the slope by the tape is ", slope, ", by differences ", want);
    }
  }
  return "";
}

}  // namespace ptrain::test
