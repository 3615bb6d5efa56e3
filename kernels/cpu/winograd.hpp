// defines: Winograd's convolution F(4×4, 3×3): windows of 3×3 with stride 1, float32, channels in multiples of 16
#pragma once

#include "kernels/backend.hpp"

namespace ptrain::cpu {

// Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", 2015. A tile of 4×4 outputs sees 6×6 inputs:
//   Y = Aᵀ [ (G w Gᵀ) ⊙ (Bᵀ x B) ] A
// so that 36 products of matrices [tiles, c]·[c, k] take the place of 144 multiplications an output tile and pair of channels. The
// sums are others than those of the direct convolution: float32 results differ by about 1e-5 of the output's rms.
bool winograd_fits(const ConvShape&, DType);

// The transformed weights: 36·c·k floats, [36][k in blocks of 32][c][32] (a last block may be 16 wide).
constexpr int64_t winograd_weights_size(const ConvShape& s) { return 36 * s.c * s.k; }
// From w [3,3,c,k], times scale[k] if there is one.
void winograd_weights(Exec&, const ConvShape&, const float* w, const float* scale, float* u);
// The gradient of x is a convolution of dy with the window turned by 180°, c and k having changed places. This is its shape.
ConvShape winograd_turned(const ConvShape&);

struct WinogradCall {
  const float* x;
  const float* u = nullptr;  // transformed weights, or
  const float* w = nullptr;  // [3,3,c,k], to be transformed in this call, or, when `turned`, [3,3,k,c] of the shape that was turned
  bool turned = false;
  const float* scale = nullptr;     // [k], times w; not with weights that are transformed already or turned
  const float* bias = nullptr;      // [k]
  const float* residual = nullptr;  // like y; may be y
  Act act = Act::none;
  bool add = false;  // y += the result, instead of y =
  float* y;
};
// y = act(conv(x) + bias + residual). The same for an image whatever its neighbours and the number of threads.
void winograd_forward(Exec&, const ConvShape&, const WinogradCall&);

// dw [3,3,c,k], overwritten or added to. Depends on the number of images, not on the number of threads.
void winograd_backward_filter(Exec&, const ConvShape&, const float* x, const float* dy, float* dw, Accumulate how);

}  // namespace ptrain::cpu
