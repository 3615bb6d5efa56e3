// defines: expect_grad(): gradients of the tape against central differences, in float64 on the reference backend
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tensor/ops.hpp"

namespace ptrain::test {

// A pass on the reference backend, with a pool of its own.
struct ReferencePass {
  ReferencePass();
  Context context() { return {memory->backend(), *exec, memory, tape}; }
  // Values in [low, high) that depend on `key` alone; float64.
  Tensor random(Shape shape, uint32_t key = 1, double low = -1, double high = 1) const;
  Tensor values(const std::vector<double>& v, Shape shape, DType dtype = DType::float64) const;

  std::shared_ptr<Memory> memory;
  std::unique_ptr<Exec> exec;
  Tape tape;
};

// Something made of the leaves: inputs and parameters alike.
using Graph = std::function<Tensor(Context&, const std::vector<Tensor>& leaves)>;

// With F = Σ r·f(leaves) and r fixed random numbers: compares, for each leaf, the slope of F along random directions by the tape with
// (F(leaf + h·d) − F(leaf − h·d)) / 2h. "" when they agree; else what is wrong. A gradient that is zero everywhere proves nothing and
// is a fault too. Keep leaves away from kinks: nothing may bend within 1e-5 of them.
std::string grad_fault(const std::vector<Tensor>& leaves, const Graph& f);

}  // namespace ptrain::test

#define EXPECT_GRAD(...)                                                   \
  do {                                                                     \
    const std::string grad_fault_ = ptrain::test::grad_fault(__VA_ARGS__); \
    CHECK_MESSAGE(grad_fault_.empty(), grad_fault_);                       \
  } while (false)
