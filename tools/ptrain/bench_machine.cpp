#include "tools/ptrain/bench_machine.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace ptrain::cli {
namespace {

using Vec = float __attribute__((vector_size(64)));

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Best units per second over all threads: each runs `work`, which does `units`, at the same time.
double best_rate(int threads, double units, const std::function<void(int thread)>& work) {
  double best = 0;
  for (int round = 0; round < 12; ++round) {
    std::vector<double> rates(static_cast<size_t>(threads));
    std::vector<std::thread> pool;
    for (int t = 0; t < threads; ++t) pool.emplace_back([&, t] { rates[size_t(t)] = units / seconds([&] { work(t); }); });
    for (std::thread& t : pool) t.join();
    double sum = 0;
    for (const double r : rates) sum += r;
    best = std::max(best, sum);
  }
  return best;
}

// Keeps the compiler from computing, or from leaving out, what it can see.
void opaque(Vec& v) {
#ifdef __AVX512F__
  asm volatile("" : "+v"(v));
#else
  asm volatile("" : "+m"(v));
#endif
}

constexpr int kChains = 20;  // independent multiply-adds: more than latency × units of any processor we know
constexpr int kTimes = 400'000;

void multiply_add() {
  Vec sum[kChains] = {}, a = Vec{} + 0.999f, b = Vec{} + 1e-3f;
  opaque(a), opaque(b);
  for (int i = 0; i < kTimes; ++i) {
#pragma GCC unroll 20
    for (int k = 0; k < kChains; ++k) sum[k] = sum[k] * a + b;
#pragma GCC unroll 20
    for (int k = 0; k < kChains; ++k) opaque(sum[k]);
  }
}

#ifdef __AVX512BF16__
void multiply_add_bf16() {
  __m512 sum[kChains];
  for (auto& s : sum) s = _mm512_set1_ps(0);
  __m512bh a = __m512bh(_mm512_set1_epi16(0x3f7f)), b = __m512bh(_mm512_set1_epi16(0x3a80));
  for (int i = 0; i < kTimes; ++i) {
#pragma GCC unroll 20
    for (int k = 0; k < kChains; ++k) sum[k] = _mm512_dpbf16_ps(sum[k], a, b);
#pragma GCC unroll 20
    for (int k = 0; k < kChains; ++k) asm volatile("" : "+v"(sum[k]));
  }
}
#endif

double peak(int threads, DType compute) {
  const double units = 2.0 * 16 * kChains * kTimes;
#ifdef __AVX512BF16__
  if (compute == DType::bfloat16) return best_rate(threads, 2 * units, [](int) { multiply_add_bf16(); });
#endif
  (void)compute;
  return best_rate(threads, units, [](int) { multiply_add(); });
}

double bandwidth(int threads, int64_t bytes_per_thread) {
  const size_t floats = size_t(bytes_per_thread) / sizeof(float);
  std::vector<std::vector<float>> data(size_t(threads), std::vector<float>(floats, 1.f));
  const int times = std::max(1, int((int64_t{64} << 20) / bytes_per_thread));
  return best_rate(threads, double(bytes_per_thread) * times, [&](int thread) {
    const float* p = data[size_t(thread)].data();
    Vec sum[8] = {};
    for (int i = 0; i < times; ++i)
      for (size_t at = 0; at + 128 <= floats; at += 128)
#pragma GCC unroll 8
        for (size_t k = 0; k < 8; ++k) {
          Vec v;
          std::memcpy(&v, p + at + 16 * k, sizeof v);
          sum[k] += v;
        }
    for (Vec& s : sum) opaque(s);
  });
}

}  // namespace

Machine measure_machine(int threads, DType compute) {
  return {.peak_gflops = peak(threads, compute) / 1e9,
          .cache_gb_per_s = bandwidth(threads, 512 << 10) / 1e9,
          .memory_gb_per_s = bandwidth(threads, 64 << 20) / 1e9};
}

}  // namespace ptrain::cli
