// defines: the update rules (Keras' formulas), and what one launch over many tensors needs
#pragma once

#include <cstdint>

#include "kernels/dtype.hpp"

namespace ptrain {

// g: gradient, w: weight, t: number of this step, counted from 1. All in float32, one rounding an operation, in the order that is
// written here (no fused multiply-add), so that every device gives the same bits. 1 − β and 1 − ρ are taken in double, then
// rounded; βᵗ is the power of β rounded to float32, taken in double, then rounded (momentum is rounded likewise).
//   any      with weight_decay: first w −= w · weight_decay · lr
//   sgd      w −= g·lr ; with momentum: v ← v·momentum − g·lr ; w += v   (nesterov: w += v·momentum − g·lr)
//   adam     m += (g − m)(1 − β₁) ; v += (g² − v)(1 − β₂) ; w −= m · (lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ)) / (√v + ε)
//   adamw    adam under the name that people give it when weight_decay is set
//   rmsprop  v ← ρ·v + (1 − ρ)·g² ; [centered: a ← ρ·a + (1 − ρ)·g, v − a² below the root] ; s = lr·g / √(v + ε) ;
//            w −= s ; with momentum: m ← momentum·m + s ; w −= m
enum class OptimizerKind : uint8_t { sgd, adam, adamw, rmsprop };

struct OptimizerRule {
  OptimizerKind kind = OptimizerKind::adam;
  double learning_rate = 1e-3;  // doubles for checks in float64; float32 weights use them rounded
  double momentum = 0;
  bool nesterov = false;
  double beta_1 = 0.9, beta_2 = 0.999;  // and 1 − 0.999f is not 0.001f, which Keras uses
  double epsilon = 1e-7;
  double rho = 0.9;
  bool centered = false;
  double weight_decay = 0;

  // How many state tensors of the weight's size the rule keeps: they are zero before the first step.
  int states() const {
    switch (kind) {
      case OptimizerKind::sgd: return momentum != 0;
      case OptimizerKind::adam:
      case OptimizerKind::adamw: return 2;                                 // m, v
      case OptimizerKind::rmsprop: return 1 + centered + (momentum != 0);  // v, a, m
    }
    return 0;
  }
};

// One trainable tensor. `copy`, when there is one, is the working copy in a lower precision: it is written anew from w.
struct OptimizerSlot {
  Buffer w, dw;
  Buffer state[3];
  Buffer copy;
};

// What the device keeps between steps, so that a step never waits for the host.
struct StepState {
  Buffer iterations;          // int32: finished steps; the launch reads t − 1 from it and adds one
  Buffer finite = {};         // int32, 1 or 0; when it holds 0 the launch changes nothing, `iterations` included. May be absent.
  Buffer learning_rate = {};  // float32; may be absent: then the rule's
};

// Dynamic loss scale with Keras' rule: ×2 after `growth_steps` finite steps in a row, ×0.5 and a cleared count after a non-finite one.
// Unlike Keras' it stays in [2^-126, 2^127]: at infinity or zero every later step would be lost.
struct LossScaleState {
  Buffer scale;    // float32
  Buffer counter;  // int32: finite steps since the last change
  int32_t growth_steps = 2000;
};

}  // namespace ptrain
