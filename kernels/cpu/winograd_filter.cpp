// The gradient of the weights by Winograd: dw = Gᵀ [ Σ over tiles (Bᵀ x B) ⊗ (A dy Aᵀ) ] G.
//
// Layout : v [36][tiles][c] and g [36][tiles][k] of some tiles at a time, du [36][c][k].
// Thread : each transforms its tiles; then each takes its points of the 36, which are independent.
// Memory : du is read and written once a block of tiles, so blocks are large where du is.
// Exact  : sums over the tiles in order in float32, the blocks fixed by the shape: the same for any number of threads.
#include "kernels/cpu/winograd.hpp"
#include "kernels/cpu/winograd_product.hpp"
#include "kernels/cpu/winograd_tiles.hpp"

namespace ptrain::cpu {

using namespace winograd;

namespace {

int64_t tiles_in_block(const ConvShape& s) {
  const int64_t budget = winograd_weights_size(s) * int64_t(sizeof(float)) > 1 << 20 ? 8 << 20 : 1 << 20;
  return std::max<int64_t>(48, budget / (int64_t(sizeof(float)) * kPoints * (s.c + s.k)));
}

// A dy Aᵀ of one tile. Outputs beyond the image have no gradient.
void transform_gradient(const Tiles& tiles, int64_t tile, const float* dy, float* g, int64_t stride) {
  const ConvShape& s = tiles.s;
  const Tiles::Place at = tiles.place(tile);
  const int64_t rows = std::min(kTile, s.p() - at.p), columns = std::min(kTile, s.q() - at.q);
  const float* first = dy + ((at.image * s.p() + at.p) * s.q() + at.q) * s.k;
  for (int64_t k = 0; k < s.k; k += kLanes) {
    Vec half[6][4];
    unrolled<4>([&](auto j) PTRAIN_INLINE {
      Vec d[4], t[6];
      unrolled<4>([&](auto i) PTRAIN_INLINE { d[i] = i < rows && j < columns ? load(first + (i * s.q() + j) * s.k + k) : Vec{}; });
      output_transform_back(d, t);
      unrolled<6>([&](auto i) PTRAIN_INLINE { half[i][j] = t[i]; });
    });
    unrolled<6>([&](auto i) PTRAIN_INLINE {
      Vec t[6];
      output_transform_back(half[i], t);
      unrolled<6>([&](auto j) PTRAIN_INLINE { store(g + (i * 6 + j) * stride + k, t[j]); });
    });
  }
}

// dw [3,3,c,k] from du, for one c.
void finish_weights(const ConvShape& s, int64_t c, const float* du, float* dw, bool add) {
  for (int64_t k = 0; k < s.k; k += kLanes) {
    const float* from = du + c * s.k + k;
    Vec half[6][3];
    unrolled<6>([&](auto j) PTRAIN_INLINE {
      Vec u[6];
      unrolled<6>([&](auto i) PTRAIN_INLINE { u[i] = load(from + (i * 6 + j) * s.c * s.k); });
      weight_transform_back(u, half[j]);
    });
    unrolled<3>([&](auto i) PTRAIN_INLINE {
      const Vec row[6] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i], half[5][i]};
      Vec t[3];
      weight_transform_back(row, t);
      unrolled<3>([&](auto j) PTRAIN_INLINE {
        float* to = dw + ((i * 3 + j) * s.c + c) * s.k + k;
        store(to, add ? load(to) + t[j] : t[j]);
      });
    });
  }
}

}  // namespace

void winograd_backward_filter(Exec& e, const ConvShape& s, const float* x, const float* dy, float* dw, Accumulate how) {
  const Tiles tiles(s);
  const int64_t at_once = std::min(tiles_in_block(s), tiles.count()), blocks = (tiles.count() + at_once - 1) / at_once;
  const int64_t v_size = kPoints * at_once * s.c, g_size = kPoints * at_once * s.k;
  float* v = static_cast<float*>(e.scratch(int64_t(sizeof(float)) * (v_size + g_size + winograd_weights_size(s))));
  float *g = v + v_size, *du = g + g_size;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t from = tiles.count() * b / blocks, count = tiles.count() * (b + 1) / blocks - from;
    parallel(e, count, kPoints * (s.c + s.k), [&](Part part) {
      for (int64_t i = part.begin; i < part.end; ++i) {
        transform_patch(tiles, from + i, x, v + i * s.c, count * s.c);
        transform_gradient(tiles, from + i, dy, g + i * s.k, count * s.k);
      }
    });
    parallel(e, kPoints, s.c * s.k, [&](Part part) {
      for (int64_t point = part.begin; point < part.end; ++point) {
        const float *a = v + point * count * s.c, *right = g + point * count * s.k;
        float* to = du + point * s.c * s.k;
        with_flag(b > 0, [&](auto add) {
          int64_t k = 0;
          for (; k + 2 * kLanes <= s.k; k += 2 * kLanes) product<2, add>(s.c, a, 1, s.c, right + k, s.k, count, to + k, s.k);
          if (k < s.k) product<1, add>(s.c, a, 1, s.c, right + k, s.k, count, to + k, s.k);
        });
      }
    });
  }
  parallel(e, s.c, kPoints * s.k, [&](Part part) {
    for (int64_t c = part.begin; c < part.end; ++c) finish_weights(s, c, du, dw, how == Accumulate::yes);
  });
}

}  // namespace ptrain::cpu
