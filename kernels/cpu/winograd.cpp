// Winograd's convolution: forward (with bias, residual and activation), and by it the gradient of x.
//
// Layout : x, y NHWC as everywhere, so nothing is reordered; v [36][tiles][c], m [36][tiles][k]; u as winograd_weights() makes it.
// Thread : a block of tiles at a time from x to y, so that v and m stay in the second-level cache of the core.
// Memory : reads x 2.25 times from the nearest cache, writes y once; u is read once a block of tiles.
// Exact  : sums over c in order in float32: an output depends on its tile alone.
#include "kernels/cpu/winograd.hpp"

#include "kernels/cpu/winograd_product.hpp"
#include "kernels/cpu/winograd_tiles.hpp"

namespace ptrain::cpu {

using namespace winograd;

namespace {

constexpr int64_t kBlock = 32;  // columns of u that lie together

// Tiles in a block: v and m should stay in the second-level cache, and u, which every block reads anew, asks for many.
int64_t tiles_in_block(const ConvShape& s) {
  constexpr int64_t kCache = 768 << 10;
  return std::clamp<int64_t>(kCache / (int64_t(sizeof(float)) * kPoints * (s.c + s.k)), 24, 96);
}

// u[point] of sixteen columns of row c from nine weights of each.
template <class Weight>
[[gnu::always_inline]] inline void transform_columns(int64_t c_count, int64_t k_count, int64_t c, int64_t k, float* u, Weight&& weight) {
  Vec half[3][6];  // (G w)ᵀ, a column of the window at a time
  for (int64_t t = 0; t < 3; ++t) {
    const Vec w[3] = {weight(0, t), weight(1, t), weight(2, t)};
    weight_transform(w, half[t]);
  }
  const int64_t first = k / kBlock * kBlock, width = std::min(kBlock, k_count - first);
  float* to = u + first * c_count + c * width + (k - first);
  unrolled<6>([&](auto i) PTRAIN_INLINE {
    const Vec row[3] = {half[0][i], half[1][i], half[2][i]};
    Vec t[6];
    weight_transform(row, t);
    unrolled<6>([&](auto j) PTRAIN_INLINE { store(to + (i * 6 + j) * c_count * k_count, t[j]); });
  });
}

// s is the turned shape: its k are the channels of x, its c those of y, and w is [3,3,k,c]. Sixteen channels of each are turned at a time,
// so that w is read in whole cache lines.
void transform_weights_turned(Exec& e, const ConvShape& s, const float* w, float* u) {
  parallel(e, s.c / kLanes, kLanes * kPoints * s.k, [&](Part part) {
    for (int64_t c = part.begin * kLanes; c < part.end * kLanes; c += kLanes)
      for (int64_t k = 0; k < s.k; k += kLanes) {
        Vec turned[9][kLanes];  // [tap of the turned window][c], over k
        for (int64_t tap = 0; tap < 9; ++tap) {
          const float* from = w + ((8 - tap) * s.k + k) * s.c + c;
          for (int64_t i = 0; i < kLanes; ++i) turned[tap][i] = load(from + i * s.c);
          transpose(turned[tap]);
        }
        for (int64_t i = 0; i < kLanes; ++i)
          transform_columns(s.c, s.k, c + i, k, u, [&](int64_t r, int64_t t) { return turned[r * 3 + t][i]; });
      }
  });
}

// The outputs of one tile from m[point · stride + channel].
template <class A>
void finish_tile(const Tiles& tiles, int64_t tile, const float* m, int64_t stride, const WinogradCall& call) {
  const ConvShape& s = tiles.s;
  const Tiles::Place at = tiles.place(tile);
  const int64_t rows = std::min(kTile, s.p() - at.p), columns = std::min(kTile, s.q() - at.q);
  const int64_t first = ((at.image * s.p() + at.p) * s.q() + at.q) * s.k;
  for (int64_t k = 0; k < s.k; k += kLanes) {
    Vec half[4][6];  // Aᵀ m
    unrolled<6>([&](auto j) PTRAIN_INLINE {
      Vec d[6], t[4];
      unrolled<6>([&](auto i) PTRAIN_INLINE { d[i] = load(m + (i * 6 + j) * stride + k); });
      output_transform(d, t);
      unrolled<4>([&](auto i) PTRAIN_INLINE { half[i][j] = t[i]; });
    });
    const Vec bias = call.bias ? load(call.bias + k) : Vec{};
    unrolled<4>([&](auto i) PTRAIN_INLINE {
      if (i >= rows) return;
      Vec t[4];
      output_transform(half[i], t);
      unrolled<4>([&](auto j) PTRAIN_INLINE {
        if (j >= columns) return;
        const int64_t to = first + (i * s.q() + j) * s.k + k;
        Vec v = t[j] + bias;
        if (call.residual) v += load(call.residual + to);
        v = activate<A>(v);
        if (call.add) v += load(call.y + to);
        store(call.y + to, v);
      });
    });
  }
}

}  // namespace

bool winograd_fits(const ConvShape& s, DType t) {
  return t == DType::float32 && s.r == 3 && s.s == 3 && s.stride == 1 && s.pad_h <= 2 && s.pad_w <= 2 && s.c % kLanes == 0 &&
         s.k % kLanes == 0;
}

void winograd_weights(Exec& e, const ConvShape& s, const float* w, const float* scale, float* u) {
  parallel(e, s.c, kPoints * s.k, [&](Part part) {
    for (int64_t c = part.begin; c < part.end; ++c)
      for (int64_t k = 0; k < s.k; k += kLanes)
        transform_columns(s.c, s.k, c, k, u, [&](int64_t r, int64_t t) {
          const Vec v = load(w + ((r * 3 + t) * s.c + c) * s.k + k);
          return scale ? v * load(scale + k) : v;
        });
  });
}

ConvShape winograd_turned(const ConvShape& s) {
  return {.n = s.n,
          .h = s.p(),
          .w = s.q(),
          .c = s.k,
          .k = s.c,
          .r = 3,
          .s = 3,
          .stride = 1,
          .pad_h = 2 - s.pad_h,
          .pad_w = 2 - s.pad_w,
          .more_h = s.h - (s.p() + 2 * (2 - s.pad_h) - 2),
          .more_w = s.w - (s.q() + 2 * (2 - s.pad_w) - 2)};
}

void winograd_forward(Exec& e, const ConvShape& s, const WinogradCall& call) {
  const Tiles tiles(s);
  const int64_t at_once = std::min(tiles_in_block(s), tiles.count()), blocks = (tiles.count() + at_once - 1) / at_once;
  const int parts = part_count(e, blocks, at_once * kTile * kTile * s.k);
  const int64_t v_size = kPoints * at_once * s.c, size = v_size + kPoints * at_once * s.k;
  const int64_t u_size = call.u ? 0 : winograd_weights_size(s);
  float* const own = static_cast<float*>(e.scratch(int64_t(sizeof(float)) * (u_size + size * parts)));
  float* const scratch = own + u_size;
  if (!call.u && call.turned) transform_weights_turned(e, s, call.w, own);
  else if (!call.u) winograd_weights(e, s, call.w, call.scale, own);
  const float* const weights = call.u ? call.u : own;
  parallel(parts, blocks, [&](Part part) {
    float *v = scratch + part.index * size, *m = v + v_size;
    for (int64_t b = part.begin; b < part.end; ++b) {
      const int64_t from = tiles.count() * b / blocks, count = tiles.count() * (b + 1) / blocks - from;
      for (int64_t i = 0; i < count; ++i) transform_patch(tiles, from + i, call.x, v + i * s.c, count * s.c);
      for (int64_t point = 0; point < kPoints; ++point) {
        const float *a = v + point * count * s.c, *u = weights + point * s.c * s.k;
        float* c = m + point * count * s.k;
        for (int64_t k = 0; k < s.k; k += kBlock) {
          if (s.k - k >= kBlock) product<2>(count, a, s.c, 1, u + k * s.c, kBlock, s.c, c + k, s.k);
          else product<1>(count, a, s.c, 1, u + k * s.c, kLanes, s.c, c + k, s.k);
        }
      }
      with_act(call.act, [&]<class A>(A) {
        for (int64_t i = 0; i < count; ++i) finish_tile<A>(tiles, from + i, m + i * s.k, count * s.k, call);
      });
    }
  });
}

}  // namespace ptrain::cpu
