#include "kernels/cuda/exact.cuh"
#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/tensors.cuh"

namespace ptrain::cuda {
namespace {

// The numbers of one step, as kernels/optimizer.hpp has them rounded.
struct StepNumbers {
  explicit StepNumbers(const OptimizerRule& r)
      : lr(float(r.learning_rate)),
        momentum(float(r.momentum)),
        decay(float(r.weight_decay)),
        epsilon(float(r.epsilon)),
        rho(float(r.rho)),
        one_minus_rho(float(1 - r.rho)),
        one_minus_beta_1(float(1 - r.beta_1)),
        one_minus_beta_2(float(1 - r.beta_2)),
        beta_1(float(r.beta_1)),
        beta_2(float(r.beta_2)),
        nesterov(r.nesterov),
        centered(r.centered) {}
  float lr, momentum, decay, epsilon, rho, one_minus_rho, one_minus_beta_1, one_minus_beta_2, beta_1, beta_2;
  bool nesterov, centered;
};

// t = ++iterations; alpha = lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ); nothing when `finite` holds 0
// Layout : single values on the device.
// Thread : one.
// Memory : a few bytes; the launch is all it costs.
// Exact  : the powers in double, rounded to float32 like the reference's; a step that is skipped is not counted.
__global__ void begin_step_kernel(bool adam, StepNumbers s, const int32_t* finite, const float* rate, int32_t* iterations, float* alpha) {
  if (finite && *finite == 0) return;
  const int32_t t = ++*iterations;
  if (!adam) return;
  const float lr = rate ? *rate : s.lr;
  const Rounded power_1 = float(pow(double(s.beta_1), double(t))), power_2 = float(pow(double(s.beta_2), double(t)));
  *alpha = (Rounded(lr) * root(Rounded(1.f) - power_2) / (Rounded(1.f) - power_1)).v;
}

// The new value of w; a, b, c are the rule's state in the order of OptimizerSlot.
template <OptimizerKind kind>
__device__ Rounded updated(const StepNumbers& s, Rounded alpha, Rounded w, Rounded g, Rounded& a, Rounded& b, Rounded& c) {
  if (s.decay != 0.f) w = w - w * s.decay * s.lr;
  if constexpr (kind == OptimizerKind::sgd) {
    if (s.momentum == 0.f) return w - g * s.lr;
    a = a * s.momentum - g * s.lr;
    return s.nesterov ? w + (a * s.momentum - g * s.lr) : w + a;
  } else if constexpr (kind == OptimizerKind::adam) {
    a = a + (g - a) * s.one_minus_beta_1;
    b = b + (g * g - b) * s.one_minus_beta_2;
    return w - a * alpha / (root(b) + s.epsilon);
  } else {
    a = Rounded(s.rho) * a + Rounded(s.one_minus_rho) * (g * g);
    Rounded below = a + s.epsilon;
    if (s.centered) {
      b = Rounded(s.rho) * b + Rounded(s.one_minus_rho) * g;
      below = a - b * b + s.epsilon;
    }
    const Rounded increment = Rounded(s.lr) * g / root(below);
    if (s.momentum == 0.f) return w - increment;
    Rounded& moving = s.centered ? c : b;
    moving = Rounded(s.momentum) * moving + increment;
    return w - moving;
  }
}

template <int V, OptimizerKind kind>
__device__ void update_values(const TensorEntry& t, int states, const StepNumbers& s, float alpha, int64_t i) {
  Floats<V> w = load<V>(t.w, i, t.size), state[3] = {};
  const Floats<V> g = load_any<V>(t.dw, t.dw_type, i, t.size);
  for (int j = 0; j < 3; ++j)
    if (j < states) state[j] = load<V>(t.state[j], i, t.size);
  for (int k = 0; k < V; ++k) {
    Rounded a = state[0].v[k], b = state[1].v[k], c = state[2].v[k];
    w.v[k] = updated<kind>(s, alpha, w.v[k], g.v[k], a, b, c).v;
    state[0].v[k] = a.v, state[1].v[k] = b.v, state[2].v[k] = c.v;
  }
  store<V>(t.w, i, t.size, w);
  for (int j = 0; j < 3; ++j)
    if (j < states) store<V>(t.state[j], i, t.size, state[j]);
  if (t.copy) store_any<V>(t.copy, t.copy_type, i, t.size, w);
}

// One step of the rule for every tensor of the table (kernels/optimizer.hpp), and the working copies anew; nothing when `finite` holds 0
// Layout : tensors are flat; w and state float32, dw and copy float32 or a half type.
// Thread : four vectors of four values, a block apart; a block belongs to one tensor and finds it by bisection.
// Memory : adam reads w, dw, m, v and writes w, m, v, copy: bound by the memory's bandwidth.
// Exact  : one rounding an operation, never fused: every device gives the same bits.
template <OptimizerKind kind>
__global__ void optimizer_kernel(const __grid_constant__ TensorTable table, int states, StepNumbers s, const int32_t* finite,
                                 const float* rate, const float* alpha) {
  if (finite && *finite == 0) return;
  if (rate) s.lr = *rate;
  const TensorEntry& t = table.of[table.find(int(blockIdx.x))];
  const float a = kind == OptimizerKind::adam ? *alpha : 0.f;
  const int64_t begin = int64_t(int(blockIdx.x) - t.first_block) * kTensorChunk,
                end = begin + kTensorChunk < t.size ? begin + kTensorChunk : t.size;
  if (t.wide) {
    for (int64_t i = begin + threadIdx.x * 4; i < end; i += kTensorBlock * 4) update_values<4, kind>(t, states, s, a, i);
  } else {
    for (int64_t i = begin + threadIdx.x; i < end; i += kTensorBlock) update_values<1, kind>(t, states, s, a, i);
  }
}

}  // namespace

void optimizer_step(const OptimizerRule& rule, std::span<const OptimizerSlot> slots, const StepState& state, Exec& exec,
                    cudaStream_t stream) {
  const StepNumbers s(rule);
  const bool adam = rule.kind == OptimizerKind::adam || rule.kind == OptimizerKind::adamw;
  const int32_t* finite = state.finite ? state.finite.as<int32_t>() : nullptr;
  const float* rate = state.learning_rate ? state.learning_rate.as<float>() : nullptr;
  auto* alpha = static_cast<float*>(exec.scratch(int64_t(sizeof(float))));
  launch(begin_step_kernel, 1, 1, 0, stream, adam, s, finite, rate, state.iterations.as<int32_t>(), alpha);
  const auto kernel = adam                              ? optimizer_kernel<OptimizerKind::adam>
                      : rule.kind == OptimizerKind::sgd ? optimizer_kernel<OptimizerKind::sgd>
                                                        : optimizer_kernel<OptimizerKind::rmsprop>;
  for_tables(slots, [&](const TensorTable& table) {
    launch(kernel, unsigned(table.blocks), kTensorBlock, 0, stream, table, rule.states(), s, finite, rate, alpha);
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
