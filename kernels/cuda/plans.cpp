// Which plan of cuDNN computes a convolution: the heuristics' first that fits, or with PTRAIN_AUTOTUNE=FILE the fastest of several, which
// the file remembers, so that later runs do the same.
#include <algorithm>
#include <fstream>
#include <limits>

#include "kernels/cuda/prepared.hpp"

namespace ptrain::cuda {
namespace {

constexpr size_t kMeasured = 8;  // how many plans are measured: the heuristics put the good ones first
constexpr int kRuns = 5;
constexpr int64_t kGenericEngine = 0;  // computes any graph, none of them fast

// The largest power of two up to 16 that all these addresses are multiples of.
int alignment_of(std::initializer_list<Buffer> buffers) {
  uintptr_t bits = 16;
  for (const Buffer& b : buffers) bits |= reinterpret_cast<uintptr_t>(b.data);
  return int(bits & (~bits + 1));
}

struct Temporary {
  Temporary(CudaBackend& b, int64_t bytes) : backend(b), size(bytes), data(b.allocate(bytes)) {}
  ~Temporary() { backend.release(data, size); }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  CudaBackend& backend;
  int64_t size;
  void* data;
};

}  // namespace

ConvKey CudaBackend::conv_key(ConvKind kind, const ConvShape& s, DType type, std::initializer_list<Buffer> buffers) const {
  return {.kind = kind, .shape = s, .type = type, .filter = type, .tf32 = options_.tf32, .alignment = alignment_of(buffers)};
}

const ConvPlan* CudaBackend::plan(const ConvKey& key) {
  const std::lock_guard lock(handles_);
  if (const auto it = plans_.find(key); it != plans_.end()) return it->second.get();
  std::unique_ptr<ConvPlan> found = options_.autotune.empty() ? find_plan(key, properties_).plan : measured_plan(key);
  // For a fused graph a fast convolution and one more pass over the result are better than the generic engine.
  if (key.kind == ConvKind::fused && found && found->engine() == kGenericEngine) found.reset();
  return plans_.emplace(key, std::move(found)).first->second.get();
}

CudaBackend::Prepared CudaBackend::prepare(ConvKey key) {
  const ConvShape s = key.shape;
  Prepared p{.plan = plan(key), .shape = s, .padded = false, .padding = {}};
  if (p.plan) return p;
  if (s.more_h != 0 || s.more_w != 0) {
    p.padded = true;
    p.padding = {
        .n = s.n, .h = s.h, .w = s.w, .c = s.c, .top = s.pad_h, .bottom = s.pad_h + s.more_h, .left = s.pad_w, .right = s.pad_w + s.more_w};
    p.shape.h += 2 * s.pad_h + s.more_h, p.shape.w += 2 * s.pad_w + s.more_w;
    p.shape.pad_h = p.shape.pad_w = p.shape.more_h = p.shape.more_w = 0;
    key.shape = p.shape;
    key.alignment = std::min(key.alignment, 16);
    p.plan = plan(key);
  }
  if (!p.plan) fail(ErrorKind::device, "cuDNN has no plan for ", str(key), ": ", find_plan(key, properties_).why);
  return p;
}

void CudaBackend::execute(Exec& e, const ConvPlan& plan, const ConvPlan::Pointers& pointers) {
  const std::lock_guard lock(handles_);
  plan.execute(lane_of(e).cudnn, pointers);
}

// handles_ is held. One line of the file: device, engine, key.
std::unique_ptr<ConvPlan> CudaBackend::measured_plan(const ConvKey& key) {
  cudaDeviceProp device;
  GPU_CHECK(cudaGetDeviceProperties(&device, device_));
  const std::string name = concat(device.name, "\t", str(key), "\t", key.alignment);
  if (!std::exchange(measured_read_, true)) {
    std::ifstream in(options_.autotune);
    for (std::string line; std::getline(in, line);)
      if (const size_t tab = line.find('\t'); tab != std::string::npos) measured_[line.substr(tab + 1)] = std::atoll(line.c_str());
  }
  std::vector<std::unique_ptr<ConvPlan>> plans = all_plans(key, properties_);
  if (key.kind == ConvKind::fused) std::erase_if(plans, [](const auto& p) { return p->engine() == kGenericEngine; });
  if (plans.empty()) return nullptr;
  if (const auto it = measured_.find(name); it != measured_.end())
    for (auto& p : plans)
      if (p->engine() == it->second) return std::move(p);
  plans.resize(std::min(plans.size(), kMeasured));

  const ConvShape& s = key.shape;
  const int64_t item = size_of(key.type);
  int64_t workspace = 256;
  for (const auto& p : plans) workspace = std::max(workspace, p->workspace());
  Temporary x(*this, s.x_size() * item), w(*this, s.w_size() * 4), y(*this, s.y_size() * item), residual(*this, s.y_size() * item),
      bias(*this, s.k * 4), space(*this, workspace);
  for (const Temporary* t : {&x, &w, &y, &residual, &bias}) GPU_CHECK(cudaMemsetAsync(t->data, 0, size_t(t->size), lane_.stream));
  const bool fused = key.kind == ConvKind::fused;
  const ConvPlan::Pointers pointers{.x = x.data,
                                    .w = w.data,
                                    .y = y.data,
                                    .bias = fused ? bias.data : nullptr,
                                    .residual = fused && key.residual ? residual.data : nullptr,
                                    .workspace = space.data};
  Event begin{cudaEventDefault}, end{cudaEventDefault};
  size_t best = 0;
  float best_time = std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < plans.size(); ++i) {
    float least = std::numeric_limits<float>::infinity();
    for (int again = 0; again < kRuns; ++again) {
      GPU_CHECK(cudaEventRecord(begin, lane_.stream));
      plans[i]->execute(lane_.cudnn, pointers);
      GPU_CHECK(cudaEventRecord(end, lane_.stream));
      GPU_CHECK(cudaEventSynchronize(end));
      float time = 0;
      GPU_CHECK(cudaEventElapsedTime(&time, begin, end));
      least = std::min(least, time);
    }
    if (least < best_time) best_time = least, best = i;
  }
  measured_[name] = plans[best]->engine();
  std::ofstream out(options_.autotune, std::ios::app);
  out << plans[best]->engine() << '\t' << name << '\n';
  if (!out) fail(ErrorKind::failed, "writing what autotune measured to ", options_.autotune, " failed; PTRAIN_AUTOTUNE names the file");
  return std::move(plans[best]);
}

}  // namespace ptrain::cuda
