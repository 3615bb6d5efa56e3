// Runs each step of the ladders once, small, under the meter.
#include "kernels/ladder/report.hpp"

#include <cstring>
#include <memory>
#include <sstream>

#include "kernels/cuda/check.hpp"
#include "kernels/ladder/ladder.hpp"
#include "kernels/ladder/meter.hpp"

namespace ptrain::cuda::ladder {
namespace {

// Memory of the emulated device.
class Block {
 public:
  explicit Block(int64_t bytes) { GPU_CHECK(cudaMalloc(&data_, size_t(bytes))); }
  ~Block() { cudaFree(data_); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

class LadderExec final : public Exec {
 public:
  LadderExec() : Exec(1) {}
  void* scratch(int64_t bytes) override {
    scratch_ = std::make_unique<Block>(bytes);
    return scratch_->data();
  }
  void synchronize() override {}

 private:
  std::unique_ptr<Block> scratch_;
};

// The arguments of one step: numbers in [low, high) that differ, in float32 unless said otherwise.
class Arguments {
 public:
  Buffer floats(int64_t n, float low = -1, float high = 1) {
    std::vector<float> v(static_cast<size_t>(n));
    for (float& x : v) x = low + (high - low) * next();
    return put(v.data(), DType::float32, n);
  }
  Buffer labels(int64_t n, int classes) {
    std::vector<int32_t> v(static_cast<size_t>(n));
    for (int32_t& x : v) x = std::min(classes - 1, int(next() * float(classes)));
    return put(v.data(), DType::int32, n);
  }
  Buffer bytes(int64_t n) {
    std::vector<uint8_t> v(static_cast<size_t>(n));
    for (uint8_t& x : v) x = uint8_t(next() * 256);
    return put(v.data(), DType::uint8, n);
  }
  const AugmentImage* images(int64_t n) {
    std::vector<AugmentImage> v(static_cast<size_t>(n));
    for (size_t i = 0; i < v.size(); ++i)
      v[i] = {.transform = {0.98f, 0.09f, 1.f - float(i), -0.09f, 0.98f, 2.f, 0, 0}, .contrast = 1.1f, .brightness = 4};
    return static_cast<const AugmentImage*>(put(v.data(), DType::uint8, n * int64_t(sizeof(AugmentImage))).data);
  }

 private:
  float next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return float(state_ >> 40) * 0x1p-24f;
  }
  Buffer put(const void* values, DType t, int64_t n) {
    blocks_.push_back(std::make_unique<Block>(n * size_of(t)));
    const Buffer b{blocks_.back()->data(), t, n};
    GPU_CHECK(cudaMemcpy(b.data, values, size_t(b.bytes()), cudaMemcpyHostToDevice));
    return b;
  }
  uint64_t state_ = 1;
  std::vector<std::unique_ptr<Block>> blocks_;
};

class Report {
 public:
  explicit Report(const char* ladder) : wanted_(ladder) {}

  template <class F, size_t N, class Run>
  void ladder(const Step<F> (&steps)[N], int64_t outputs, const std::string& shape, Run&& run) {
    for (const Step<F>& step : steps) {
      if (std::strncmp(step.name, wanted_.c_str(), wanted_.size()) != 0) continue;
      Arguments arguments;
      Meter meter;
      run(step.run, arguments);
      GPU_CHECK(cudaDeviceSynchronize());
      add(step, shape, outputs, meter.figures);
    }
  }
  std::string text() const { return "[" + text_.str() + "]"; }

 private:
  template <class F>
  void add(const Step<F>& step, const std::string& shape, int64_t outputs, const Figures& f) {
    const auto ratio = [](int64_t a, int64_t b) { return b ? double(a) / double(b) : 0.0; };
    text_ << (first_ ? "" : ", ") << "{\"name\": \"" << step.name << "\", \"changes\": \"" << step.changes << "\", \"kernel\": \""
          << step.kernel << "\", \"shape\": \"" << shape << "\", \"outputs\": " << outputs << ", \"launches\": " << f.launches
          << ", \"threads\": " << step.threads << ", \"registers\": " << step.registers << ", \"shared_bytes\": " << f.shared_bytes
          << ", \"barriers\": " << f.barriers << ", \"accesses\": " << f.accesses
          << ", \"sectors_per_access\": " << ratio(f.sectors, f.accesses) << ", \"sector_efficiency\": " << ratio(f.wanted, f.sectors * 32)
          << ", \"active_lanes\": " << ratio(f.lanes, f.accesses)
          << ", \"wavefronts_per_least\": " << ratio(f.wavefronts, f.least_wavefronts)
          << ", \"bytes_per_output\": " << ratio(f.sectors * 32, outputs) << ", \"least_bytes_per_output\": " << ratio(f.touched, outputs)
          << ", \"arithmetic_per_output\": " << step.arithmetic << ", \"accesses_per_thread\": " << f.accesses_of_a_thread() << "}";
    first_ = false;
  }

  std::string wanted_;
  std::ostringstream text_;
  bool first_ = true;
};

std::string make_report(const char* name) {
  Report report(name);
  LadderExec exec;
  cudaStream_t stream = nullptr;
  const DepthwiseShape d{.n = 1, .h = 14, .w = 14, .c = 96, .pad_h = 1, .pad_w = 1};
  report.ladder(kDepthwise, d.y_size(), "1x14x14x96, window 3x3", [&](Depthwise* run, Arguments& a) {
    const Buffer x = a.floats(d.x_size()), w = a.floats(d.w_size()), y = a.floats(d.y_size());
    run(d, x, w, y, stream);
  });
  const NormShape n{.rows = 784, .c = 64};
  report.ladder(kNorm, n.size(), "784 rows of 64 channels", [&](Norm* run, Arguments& a) {
    const NormTrain t{.x = a.floats(n.size()),
                      .gamma = a.floats(n.c),
                      .beta = a.floats(n.c),
                      .moving_mean = a.floats(n.c),
                      .moving_variance = a.floats(n.c, 0.5f, 2),
                      .momentum = 0.9,
                      .mean = a.floats(n.c),
                      .inv_std = a.floats(n.c),
                      .y = a.floats(n.size())};
    run(n, t, exec, stream);
  });
  const SoftmaxShape s{64, 100};
  report.ladder(kCrossEntropy, s.rows * s.classes, "64 rows of 100 classes", [&](CrossEntropy* run, Arguments& a) {
    const Buffer z = a.floats(s.rows * s.classes, -4, 4), labels = a.labels(s.rows, int(s.classes)), weights = a.floats(s.classes, 0.5f, 2),
                 p = a.floats(s.rows * s.classes), losses = a.floats(s.rows), loss = a.floats(1);
    run(s, z, labels, weights, p, losses, {loss}, stream);
  });
  const AugmentShape g{.n = 2, .h = 48, .w = 48, .c = 1};
  report.ladder(kAugment, g.n * g.h * g.w * 3, "2 grey images of 48x48", [&](Augment* run, Arguments& a) {
    const AugmentImage* images = a.images(g.n);
    const Buffer x = a.bytes(g.n * g.h * g.w), y = a.floats(g.n * g.h * g.w * 3);
    run(g, images, x, Preprocess{.scale = {1 / 127.5f, 1 / 127.5f, 1 / 127.5f}, .shift = {-1, -1, -1}}, y, exec, stream);
  });
  return report.text();
}

}  // namespace
}  // namespace ptrain::cuda::ladder

extern "C" __attribute__((visibility("default"))) const char* ptrain_ladder_report(const char* ladder) {
  static std::string text;
  try {
    text = ptrain::cuda::ladder::make_report(ladder);
  } catch (const std::exception& e) {
    text = std::string("error: ") + e.what();
  }
  return text.c_str();
}
