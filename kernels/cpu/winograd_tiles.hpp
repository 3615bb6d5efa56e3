// defines: the transforms of Winograd's F(4×4, 3×3) on sixteen channels at a time, and where the tiles of a batch lie
#pragma once

#include "kernels/cpu/vec.hpp"

namespace ptrain::cpu::winograd {

constexpr int64_t kTile = 4, kPatch = 6, kPoints = kPatch * kPatch;

// The numbers are the points 0, ±1, ±2, ∞ of the polynomials behind the method.
// Bᵀ d, one column of a patch.
[[gnu::always_inline]] inline void input_transform(const Vec (&d)[6], Vec (&t)[6]) {
  const Vec a = d[4] - 4 * d[2], b = d[3] - 4 * d[1], c = d[4] - d[2], e = 2 * (d[3] - d[1]);
  t[0] = 4 * d[0] - 5 * d[2] + d[4];
  t[1] = a + b;
  t[2] = a - b;
  t[3] = c + e;
  t[4] = c - e;
  t[5] = 4 * d[1] - 5 * d[3] + d[5];
}

// Aᵀ m: six sums become four outputs.
[[gnu::always_inline]] inline void output_transform(const Vec (&m)[6], Vec (&t)[4]) {
  const Vec a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], e = m[3] - m[4];
  t[0] = m[0] + a + c;
  t[1] = b + 2 * e;
  t[2] = a + 4 * c;
  t[3] = b + 8 * e + m[5];
}

// A g: its transpose, for gradients.
[[gnu::always_inline]] inline void output_transform_back(const Vec (&g)[4], Vec (&t)[6]) {
  const Vec a = g[0] + g[2], b = g[1] + g[3], c = g[0] + 4 * g[2], e = 2 * g[1] + 8 * g[3];
  t[0] = g[0];
  t[1] = a + b;
  t[2] = a - b;
  t[3] = c + e;
  t[4] = c - e;
  t[5] = g[3];
}

// G w, and Gᵀ u for the gradient.
[[gnu::always_inline]] inline void weight_transform(const Vec (&w)[3], Vec (&t)[6]) {
  const Vec a = -1 / 6.f * (w[0] + w[2]), b = -1 / 6.f * w[1], c = 1 / 24.f * w[0] + 1 / 6.f * w[2], e = 1 / 12.f * w[1];
  t[0] = 1 / 4.f * w[0];
  t[1] = a + b;
  t[2] = a - b;
  t[3] = c + e;
  t[4] = c - e;
  t[5] = w[2];
}
[[gnu::always_inline]] inline void weight_transform_back(const Vec (&u)[6], Vec (&t)[3]) {
  const Vec a = -1 / 6.f * (u[1] + u[2]), c = u[3] + u[4];
  t[0] = 1 / 4.f * u[0] + a + 1 / 24.f * c;
  t[1] = -1 / 6.f * (u[1] - u[2]) + 1 / 12.f * (u[3] - u[4]);
  t[2] = a + 1 / 6.f * c + u[5];
}

// The tiles of all images, image by image, row by row.
struct Tiles {
  explicit Tiles(const ConvShape& s) : s(s), down((s.p() + kTile - 1) / kTile), across((s.q() + kTile - 1) / kTile) {}
  int64_t count() const { return s.n * down * across; }

  struct Place {
    int64_t image, p, q;  // the first output of the tile
  };
  Place place(int64_t tile) const {
    const int64_t in_image = tile % (down * across);
    return {tile / (down * across), in_image / across * kTile, in_image % across * kTile};
  }

  const ConvShape& s;
  int64_t down, across;
};

// The 6×6 patch of x for one tile, transformed, to v[point · stride + channel]. What lies outside is zero.
inline void transform_patch(const Tiles& tiles, int64_t tile, const float* x, float* v, int64_t stride) {
  const ConvShape& s = tiles.s;
  const Tiles::Place at = tiles.place(tile);
  const int64_t top = at.p - s.pad_h, left = at.q - s.pad_w;
  const bool inside = top >= 0 && left >= 0 && top + kPatch <= s.h && left + kPatch <= s.w;
  const float* first = x + ((at.image * s.h + top) * s.w + left) * s.c;
  for (int64_t c = 0; c < s.c; c += kLanes) {
    Vec half[6][6];  // Bᵀ d
    unrolled<6>([&](auto j) PTRAIN_INLINE {
      Vec d[6], t[6];
      unrolled<6>([&](auto i) PTRAIN_INLINE {
        const float* from = first + (i * s.w + j) * s.c + c;
        const bool there = inside || (top + i >= 0 && top + i < s.h && left + j >= 0 && left + j < s.w);
        d[i] = there ? load(from) : Vec{};
      });
      input_transform(d, t);
      unrolled<6>([&](auto i) PTRAIN_INLINE { half[i][j] = t[i]; });
    });
    unrolled<6>([&](auto i) PTRAIN_INLINE {
      Vec t[6];
      input_transform(half[i], t);
      unrolled<6>([&](auto j) PTRAIN_INLINE { store(v + (i * 6 + j) * stride + c, t[j]); });
    });
  }
}

}  // namespace ptrain::cpu::winograd
