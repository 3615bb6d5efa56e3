// How fast the cpu backend is: whole-net chains of frozen convolutions, training convolutions, batch norm, augmentation.
//   ninja bench_kernels && bin/bench_kernels [--benchmark_filter=chain]
// Chains are what shared/bench/ceiling.cpp measures for bare oneDNN: run that in the same minute and compare images/s. Beside other
// work compare the CPU column. Not part of ctest: a time is no test.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <vector>

#include "kernels/backend.hpp"

namespace ptrain {
namespace {

Backend& cpu() {
  static const std::shared_ptr<Backend> backend = make_cpu_backend();
  return *backend;
}

// Memory of the backend that goes away with this object, filled with small numbers.
class Values {
 public:
  Values(int64_t size, DType t, Exec& exec) : buffer_{cpu().allocate(size * size_of(t)), t, size} {
    cpu().random_uniform(exec, 1, 1, -0.1, 0.1, buffer_);
  }
  ~Values() { cpu().release(buffer_.data, buffer_.bytes()); }
  Values(const Values&) = delete;
  Values& operator=(const Values&) = delete;
  operator Buffer() const { return buffer_; }

 private:
  Buffer buffer_;
};

struct Layer {
  Fused<ConvShape> conv;
  Fused<DepthwiseShape> depthwise;
  bool is_depthwise;
  std::shared_ptr<const PackedWeights> weights;
};

// The convolutions of a net with fused relu, one after the other, and the size of the largest activation.
struct Chain {
  std::vector<Layer> layers;
  int64_t largest = 0;
  double macs = 0;
};

Chain read_chain(const std::string& net, DType t) {
  Chain chain;
  const auto exec = cpu().make_exec(1);
  const char* shared = std::getenv("PTRAIN_SHARED");
  std::ifstream in(std::string(shared ? shared : PTRAIN_SOURCE_DIR "/../shared") + "/bench/conv_shapes.tsv");
  for (std::string line, name; std::getline(in, line);) {
    std::istringstream row(line);
    ConvShape s{.n = 1};
    int64_t groups, p, q;
    if (!(row >> name >> s.h >> s.w >> s.c >> s.k >> s.r >> s.s >> s.stride >> s.pad_h >> s.pad_w >> groups >> p >> q) || name != net)
      continue;
    Layer layer{.conv = {s, Act::relu}, .depthwise = {}, .is_depthwise = groups > 1, .weights = {}};
    layer.depthwise = {{.n = 1, .h = s.h, .w = s.w, .c = s.c, .r = s.r, .s = s.s, .stride = s.stride, .pad_h = s.pad_h, .pad_w = s.pad_w},
                       Act::relu};
    const int64_t size = layer.is_depthwise ? layer.depthwise.conv.w_size() : s.w_size();
    const Values w(size, t, *exec), scale(s.k, DType::float32, *exec), shift(s.k, DType::float32, *exec);
    layer.weights = layer.is_depthwise ? cpu().pack_depthwise(*exec, layer.depthwise, w, scale, shift)
                                       : cpu().pack_conv(*exec, layer.conv, w, scale, shift);
    chain.largest = std::max({chain.largest, s.x_size(), s.y_size()});
    chain.macs += double(layer.is_depthwise ? layer.depthwise.conv.macs() : s.macs());
    chain.layers.push_back(std::move(layer));
  }
  return chain;
}

const Chain& chain_of(const std::string& net, DType t) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, DType>, Chain> chains;
  const std::lock_guard lock(mutex);
  const auto [it, first] = chains.try_emplace({net, t});
  if (first) it->second = read_chain(net, t);
  return it->second;
}

// Workers side by side, each with single-threaded operations and one image at a time.
void chain(benchmark::State& state, const std::string& net, DType t) {
  const Chain& c = chain_of(net, t);
  if (c.layers.empty()) return state.SkipWithError("bench/conv_shapes.tsv is not here: set PTRAIN_SHARED");
  const auto exec = cpu().make_exec(1);
  const Values arena(2 * c.largest, t, *exec);
  for (auto _ : state) {
    Buffer x = Buffer(arena).slice(0, c.largest), y = Buffer(arena).slice(c.largest, c.largest);
    for (const Layer& l : c.layers) {
      const Buffer from = x.slice(0, l.conv.conv.x_size()), to = y.slice(0, l.conv.conv.y_size());
      if (l.is_depthwise) cpu().depthwise_bn_act(*exec, l.depthwise, from, *l.weights, {}, to);
      else cpu().conv_bn_act(*exec, l.conv, from, *l.weights, {}, to);
      std::swap(x, y);
    }
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(2e-9 * c.macs * double(state.iterations()), benchmark::Counter::kIsRate);
}

enum class Pass { forward, backward_data, backward_filter };

void convolution(benchmark::State& state, Pass pass, const ConvShape& s, DType t) {
  const auto exec = cpu().make_exec(1);
  const Values x(s.x_size(), t, *exec), w(s.w_size(), t, *exec), y(s.y_size(), t, *exec);
  for (auto _ : state) switch (pass) {
      case Pass::forward: cpu().conv_forward(*exec, s, x, w, y); break;
      case Pass::backward_data: cpu().conv_backward_data(*exec, s, y, w, {x}); break;
      case Pass::backward_filter: cpu().conv_backward_filter(*exec, s, x, y, {w}); break;
    }
  state.counters["GFLOP/s"] = benchmark::Counter(2e-9 * double(s.macs()) * double(state.iterations()), benchmark::Counter::kIsRate);
}

// A large batch norm: 32 images of 112×112×96.
void norm(benchmark::State& state, bool backward) {
  const auto exec = cpu().make_exec(int(state.range(0)));
  const NormShape s{.rows = 32 * 112 * 112, .c = 96, .act = Act::relu6};
  const DType t = DType::float32;
  const Values x(s.size(), t, *exec), y(s.size(), t, *exec), dy(s.size(), t, *exec), dx(s.size(), t, *exec);
  const Values gamma(s.c, t, *exec), beta(s.c, t, *exec), mean(s.c, t, *exec), inv_std(s.c, t, *exec), moving_mean(s.c, t, *exec),
      moving_variance(s.c, t, *exec);
  for (auto _ : state) {
    if (backward)
      cpu().norm_train_backward(
          *exec, s,
          {.x = x, .y = y, .dy = dy, .gamma = gamma, .mean = mean, .inv_std = inv_std, .dx = {dx}, .dgamma = {gamma}, .dbeta = {beta}});
    else
      cpu().norm_train_forward(*exec, s,
                               {.x = x,
                                .gamma = gamma,
                                .beta = beta,
                                .moving_mean = moving_mean,
                                .moving_variance = moving_variance,
                                .mean = mean,
                                .inv_std = inv_std,
                                .y = y});
  }
  state.SetBytesProcessed(state.iterations() * s.size() * 4 * (backward ? 7 : 3));
}

// One image at a time, as a worker gets it: flip, rotation by 8 degrees, zoom, contrast.
void augment(benchmark::State& state, const AugmentShape& shape, bool identity) {
  const auto exec = cpu().make_exec(1);
  std::vector<uint8_t> x(size_t(shape.h * shape.w * shape.c));
  for (size_t i = 0; i < x.size(); ++i) x[i] = uint8_t(i * 7919 >> 3);
  const Values y(shape.h * shape.w * 3, DType::float32, *exec);
  AugmentImage image{.contrast = 1.1f, .brightness = 5};
  if (!identity) image.transform = {.a0 = -1.04f, .a1 = 0.146f, .a2 = 211, .b0 = 0.146f, .b1 = 1.04f, .b2 = -20};
  for (auto _ : state)
    cpu().augment(*exec, shape, {&image, 1}, {x.data(), DType::uint8, int64_t(x.size())},
                  {.scale = {1 / 127.5f, 1 / 127.5f, 1 / 127.5f}, .shift = {-1, -1, -1}}, y);
  state.SetItemsProcessed(state.iterations());
}

void resize(benchmark::State& state) {
  const auto exec = cpu().make_exec(1);
  const ResizeShape s{.h = 1317, .w = 1857, .c = 1, .out_h = 224, .out_w = 224};
  std::vector<uint8_t> x(size_t(s.h * s.w), 77);
  const Values y(s.out_h * s.out_w, DType::float32, *exec);
  for (auto _ : state) cpu().resize_bilinear(*exec, s, {x.data(), DType::uint8, int64_t(x.size())}, y);
  state.SetItemsProcessed(state.iterations());
}

void adam(benchmark::State& state) {
  const auto exec = cpu().make_exec(int(state.range(0)));
  const int64_t n = 1 << 24;
  const Values w(n, DType::float32, *exec), dw(n, DType::float32, *exec), m(n, DType::float32, *exec), v(n, DType::float32, *exec);
  int32_t iterations = 0;
  const OptimizerSlot slot{.w = w, .dw = dw, .state = {m, v, {}}};
  for (auto _ : state) cpu().optimizer_step(*exec, {}, {&slot, 1}, {.iterations = {&iterations, DType::int32, 1}});
  state.SetBytesProcessed(state.iterations() * n * 4 * 7);
}

void register_all() {
  for (const DType t : {DType::float32, DType::bfloat16}) {
    if (!cpu().supports(t)) continue;
    for (const char* net : {"MobileNetV2", "ResNet50", "DenseNet121", "InceptionV3", "VGG16"})
      benchmark::RegisterBenchmark((concat("chain/", net, "/", str(t))).c_str(), chain, net, t)
          ->Threads(2)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    const std::pair<const char*, ConvShape> shapes[] = {
        {"3x3 14x14x256", {.n = 8, .h = 14, .w = 14, .c = 256, .k = 256, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1}},
        {"3x3 7x7x512", {.n = 8, .h = 7, .w = 7, .c = 512, .k = 512, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1}},
        {"1x1 14x14x1024", {.n = 8, .h = 14, .w = 14, .c = 1024, .k = 256}}};
    for (const auto& [name, s] : shapes)
      for (const auto& [pass_name, pass] :
           {std::pair{"forward", Pass::forward}, {"backward_data", Pass::backward_data}, {"backward_filter", Pass::backward_filter}})
        benchmark::RegisterBenchmark(concat("conv/", name, "/", pass_name, "/", str(t)).c_str(), convolution, pass, s, t)
            ->Unit(benchmark::kMillisecond);
  }
  benchmark::RegisterBenchmark("norm_train_forward", norm, false)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("norm_train_backward", norm, true)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("adam/16M", adam)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("augment/224 gray", augment, AugmentShape{.n = 1, .h = 224, .w = 224, .c = 1}, false)
      ->Threads(2)
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
  benchmark::RegisterBenchmark("augment/224 rgb", augment, AugmentShape{.n = 1, .h = 224, .w = 224, .c = 3}, false)
      ->Threads(2)
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
  benchmark::RegisterBenchmark("augment/224 gray constant", augment,
                               AugmentShape{.n = 1, .h = 224, .w = 224, .c = 1, .fill = FillMode::constant}, false)
      ->Threads(2)
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
  benchmark::RegisterBenchmark("augment/224 gray identity", augment, AugmentShape{.n = 1, .h = 224, .w = 224, .c = 1}, true)
      ->Threads(2)
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
  benchmark::RegisterBenchmark("resize/1317x1857 to 224", resize)->Unit(benchmark::kMicrosecond);
}

}  // namespace
}  // namespace ptrain

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  ptrain::register_all();
  benchmark::RunSpecifiedBenchmarks();
}
