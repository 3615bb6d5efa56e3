// Every kernel under the checker: no races, and memory traffic within the bounds of kernels/cuda/memory.tsv. Shapes are small multiples of
// what a block takes, so that edges hardly count. PTRAIN_UPDATE_MEMORY=1 writes the measured figures into the table; the bounds stay.
#include <cstdlib>
#include <fstream>

#include "tests/checked/checker.hpp"
#include "tests/checked/faulty.hpp"
#include "tests/kernels/cuda_sim.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

// What a checker has seen.
struct Seen {
  cuda::ladder::Figures figures;
  std::set<std::string> races;
};
struct Measured : Seen {
  std::string kernels, type;
};

// Runs the launchers of one operation after the other; each becomes a row.
class Runs {
 public:
  Runs(DType t, std::vector<Measured>& rows) : d(t, false), rows_(rows) {}

  Buffer in(uint32_t key, int64_t n, double low = -1, double high = 1) { return d.input(numbers(key, n, low, high)).there; }
  Buffer wide(uint32_t key, int64_t n, double low = -1, double high = 1) {
    return d.input(numbers(key, n, low, high), DType::float32).there;
  }
  Buffer out(int64_t n) { return d.output(n).there; }
  Buffer wide_out(int64_t n) { return d.output(n, DType::float32).there; }
  Buffer whole(uint32_t key, int64_t n, double below, DType t) {
    std::vector<double> v = numbers(key, n, 0, below);
    for (double& x : v) x = std::floor(x);
    return d.input(v, t).there;
  }
  template <class F>
  void run(const char* name, F&& launches) {
    Checker checker;
    launches();
    d.exec.synchronize();
    rows_.push_back({{checker.figures, checker.races}, name, str(d.dtype)});
  }
  Duel d;

 private:
  std::vector<Measured>& rows_;
};

void run_elements(Runs& r) {
  const int64_t n = 8192;
  const RowShape rows{256, 64};
  const Buffer a = r.in(1, n), b = r.in(2, n), y = r.out(n), x = r.in(3, rows.size()), scale = r.wide(4, 64), shift = r.wide(5, 64);
  r.run("act_forward", [&] { cuda::act_forward(Act::relu6, a, y, r.d.stream); });
  r.run("act_backward", [&] { cuda::act_backward(Act::relu, a, b, {y}, r.d.stream); });
  r.run("add_act", [&] { cuda::add_act(Act::relu, a, b, y, r.d.stream); });
  r.run("add_scaled", [&] { cuda::add_scaled(2, a, y, r.d.stream); });
  r.run("cast", [&] { cuda::cast(a, r.wide_out(n), r.d.stream); });
  r.run("fill", [&] { cuda::fill(1, y, r.d.stream); });
  r.run("random_uniform", [&] { cuda::random_uniform(1, 2, 0, 1, y, r.d.stream); });
  r.run("transpose", [&] { cuda::transpose(64, 128, a, {}, {y}, r.d.stream); });
  r.run("bias_act", [&] { cuda::bias_act(rows, Act::relu, x, scale, x, r.out(rows.size()), r.d.stream); });
  r.run("bias_backward", [&] { cuda::bias_backward({4096, 64}, r.in(6, 4096 * 64), {r.wide_out(64)}, r.d.exec, r.d.stream); });
  r.run("scale_shift_act", [&] { cuda::scale_shift_act({256, 64, 64, Act::relu}, x, scale, shift, r.out(rows.size()), r.d.stream); });
  r.run("dropout", [&] {
    cuda::dropout({.rows = 64, .c = 128, .rate = 0.5f}, a, r.whole(7, 64, 99, DType::int32), r.whole(8, 1, 99, DType::int32), {y},
                  r.d.stream);
  });
  r.run("zero_pad_forward", [&] {
    cuda::zero_pad_forward({.n = 2, .h = 14, .w = 14, .c = 32, .bottom = 1, .right = 1}, r.in(8, 2 * 14 * 14 * 32), r.out(2 * 15 * 15 * 32),
                           r.d.stream);
  });
  r.run("zero_pad_backward", [&] {
    cuda::zero_pad_backward({.n = 2, .h = 14, .w = 14, .c = 32, .bottom = 1, .right = 1}, r.in(8, 2 * 15 * 15 * 32),
                            {r.out(2 * 14 * 14 * 32)}, r.d.stream);
  });
  r.run("copy_channels", [&] {
    cuda::copy_channels({256, 32, 32, 0, 64, 32}, r.in(9, 256 * 32), {r.d.state(numbers(9, 256 * 64), r.d.dtype).there}, r.d.stream);
  });
}

void run_norms(Runs& r) {
  const NormShape s{.rows = 2048, .c = 64, .act = Act::relu};
  const Buffer x = r.in(1, s.size()), y = r.in(2, s.size()), dy = r.in(3, s.size()), one = r.wide(4, 64, 1, 2), two = r.wide(5, 64, 1, 2);
  const auto state = [&] { return r.d.state(numbers(6, 64), DType::float32).there; };
  r.run("norm_train_forward", [&] {
    cuda::norm_train_forward(s,
                             {.x = x,
                              .gamma = one,
                              .beta = two,
                              .moving_mean = state(),
                              .moving_variance = state(),
                              .mean = r.wide_out(64),
                              .inv_std = r.wide_out(64),
                              .y = r.out(s.size())},
                             r.d.exec, r.d.stream);
  });
  r.run("norm_infer_forward", [&] { cuda::norm_infer_forward(s, {x, one, two, one, two, r.out(s.size())}, r.d.stream); });
  const auto backward = [&] {
    return NormBackward{.x = x,
                        .y = y,
                        .dy = dy,
                        .gamma = one,
                        .beta = two,
                        .mean = two,
                        .inv_std = one,
                        .variance = one,
                        .dx = {r.out(s.size())},
                        .dgamma = {r.wide_out(64)},
                        .dbeta = {r.wide_out(64)}};
  };
  r.run("norm_train_backward", [&] { cuda::norm_train_backward(s, backward(), r.d.exec, r.d.stream); });
  r.run("norm_infer_backward", [&] { cuda::norm_infer_backward(s, backward(), r.d.exec, r.d.stream); });
}

void run_windows(Runs& r) {
  const PoolShape p{.n = 1, .h = 16, .w = 16, .c = 64, .window = 2, .stride = 2};
  const Buffer x = r.in(1, p.x_size()), dy = r.in(2, p.y_size()), y = r.out(p.y_size());
  const Buffer argmax = r.d.output(p.y_size(), DType::uint8).there;
  r.run("max_pool_forward", [&] { cuda::max_pool_forward(p, x, y, argmax, Act::relu, r.d.stream); });
  r.run("max_pool_backward", [&] { cuda::max_pool_backward(p, argmax, dy, {r.out(p.x_size())}, r.d.stream); });
  r.run("avg_pool_forward", [&] { cuda::avg_pool_forward(p, x, r.out(p.y_size()), r.d.stream); });
  r.run("avg_pool_backward", [&] { cuda::avg_pool_backward(p, dy, {r.out(p.x_size())}, r.d.stream); });
  r.run("global_avg_pool_forward", [&] { cuda::global_avg_pool_forward(2, {128, 64}, x, r.out(128), r.d.stream); });
  r.run("global_avg_pool_backward", [&] { cuda::global_avg_pool_backward(2, {128, 64}, r.in(3, 128), {r.out(p.x_size())}, r.d.stream); });
  for (const int64_t stride : {1, 2}) {
    const DepthwiseShape s{.n = 1, .h = 16, .w = 16, .c = 64, .stride = stride, .pad_h = 1, .pad_w = 1};
    const std::string tail = stride == 1 ? "" : ", stride 2";
    const Buffer w = r.in(4, s.w_size()), out = r.out(s.y_size()), slope = r.in(5, s.y_size());
    r.run(("depthwise_forward" + tail).c_str(), [&] { cuda::depthwise_forward(s, Act::relu6, x, w, r.wide(6, 64), {}, out, r.d.stream); });
    r.run(("depthwise_backward_data" + tail).c_str(), [&] { cuda::depthwise_backward_data(s, slope, w, {r.out(s.x_size())}, r.d.stream); });
    r.run(("depthwise_backward_filter" + tail).c_str(),
          [&] { cuda::depthwise_backward_filter(s, x, slope, {r.wide_out(s.w_size())}, r.d.exec, r.d.stream); });
  }
}

void run_training(Runs& r) {
  const SoftmaxShape s{16, 1024};
  const Buffer z = r.in(1, 16 * 1024), labels = r.whole(2, 16, 1024, DType::int32), weights = r.wide(3, 1024, 1, 2),
               p = r.wide_out(16 * 1024);
  r.run("softmax", [&] { cuda::softmax(s, z, p, r.d.stream); });
  r.run("softmax_cross_entropy_forward",
        [&] { cuda::softmax_cross_entropy_forward(s, z, labels, weights, p, r.wide_out(16), {r.wide_out(1)}, r.d.stream); });
  r.run("softmax_cross_entropy_backward",
        [&] { cuda::softmax_cross_entropy_backward(s, p, labels, weights, r.wide(4, 1), {r.out(16 * 1024)}, r.d.stream); });
  r.run("sum_squares", [&] { cuda::sum_squares(1, z, {r.wide_out(1)}, r.d.exec, r.d.stream); });
  r.run("all_finite", [&] { cuda::all_finite(z, r.d.output(1, DType::int32).there, r.d.stream); });
  const auto zeros = [&] { return r.d.state(std::vector<double>(8192), DType::float32).there; };
  const OptimizerSlot slot{zeros(), r.d.state(numbers(5, 8192), r.d.dtype).there, {zeros(), zeros(), zeros()}, r.out(8192)};
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adam, OptimizerKind::rmsprop})
    r.run(kind == OptimizerKind::sgd    ? "optimizer_step, sgd"
          : kind == OptimizerKind::adam ? "optimizer_step, adam"
                                        : "optimizer_step, rmsprop",
          [&] {
            cuda::optimizer_step({.kind = kind, .momentum = 0.9, .centered = true}, {&slot, 1}, {r.d.state({0}, DType::int32).there, {}},
                                 r.d.exec, r.d.stream);
          });
  r.run("unscale", [&] { cuda::unscale({&slot, 1}, r.wide(6, 1, 1, 2), r.d.output(1, DType::int32).there, r.d.stream); });
}

void run_images(Runs& r) {
  const AugmentShape s{.n = 2, .h = 32, .w = 32, .c = 1};
  std::vector<AugmentImage> images(2);
  images[0].transform = {.a0 = 0.9f, .a1 = 0.2f, .b0 = -0.2f, .b1 = 0.9f};
  images[0].contrast = 1.5f;
  Buffer there{nullptr, DType::uint8, int64_t(images.size() * sizeof(AugmentImage))};
  cudaMalloc(&there.data, size_t(there.size));
  cudaMemcpyAsync(there.data, images.data(), size_t(there.size), cudaMemcpyHostToDevice, r.d.stream);
  const Buffer x = r.whole(1, 2 * 32 * 32, 256, DType::uint8);
  r.run("augment",
        [&] { cuda::augment(s, static_cast<const AugmentImage*>(there.data), x, {}, r.out(2 * 32 * 32 * 3), r.d.exec, r.d.stream); });
  r.d.exec.synchronize();
  cudaFree(there.data);
  if (r.d.dtype == DType::float32)
    r.run("resize_bilinear", [&] {
      cuda::resize_bilinear({24, 24, 3, 32, 32}, r.whole(2, 24 * 24 * 3, 256, DType::uint8), r.wide_out(32 * 32 * 3), r.d.stream);
    });
}

}  // namespace

TEST_CASE("checked: the checker sees races, conflicts of banks and scattered stores") {
  Duel d(DType::float32, false);
  const Buffer y = d.output(8192).there;
  const auto of = [&](auto launcher) {
    Checker checker;
    launcher(y.as<float>(), d.stream);
    d.exec.synchronize();
    return Seen{checker.figures, checker.races};
  };
  CHECK(!of(launch_racing).races.empty());
  CHECK(!of(launch_two_blocks).races.empty());
  const Seen column = of(launch_column);
  CHECK(column.races.empty());
  CHECK(column.figures.conflicts() == 32);
  CHECK(column.figures.efficiency() == 0.125);
}

TEST_CASE("checked: no kernel races, all keep within the bounds of memory.tsv") {
  cudaSetDevice(0);
  std::vector<Measured> measured;
  for (const DType t : {DType::float32, DType::float16}) {
    Runs r(t, measured);
    run_elements(r);
    run_norms(r);
    run_windows(r);
    run_training(r);
    run_images(r);
  }
  const std::filesystem::path path = source_dir() / "kernels/cuda/memory.tsv";
  std::map<std::string, Row> bounds;
  if (std::filesystem::exists(path))
    for (const Row& row : read_tsv(path)) bounds[row.at("operation") + " " + row.at("type")] = row;
  std::ostringstream table;
  table << "operation\ttype\tefficiency\tleast_efficiency\twavefronts\tmost_wavefronts\twhy\n";
  const bool update = std::getenv("PTRAIN_UPDATE_MEMORY") != nullptr;
  for (const Measured& m : measured) {
    const std::string key = m.kernels + " " + m.type;
    for (const std::string& race : m.races) FAIL_CHECK(key, ": ", race);
    const bool known = bounds.contains(key);
    if (!known && !update) FAIL_CHECK(key, " is not in ", path.string());
    const std::string least = known ? bounds[key].at("least_efficiency") : "0.90",
                      most = known ? bounds[key].at("most_wavefronts") : "1.10", why = known ? bounds[key].at("why") : "";
    if (!update) {
      CHECK_MESSAGE(m.figures.efficiency() >= std::stod(least), key, ": ", m.figures.efficiency(),
                    " of the bytes of its sectors are used, promised are ", least);
      CHECK_MESSAGE(m.figures.conflicts() <= std::stod(most), key, ": ", m.figures.conflicts(),
                    " wavefronts an access of shared memory, promised are ", most);
    }
    char line[300];
    std::snprintf(line, sizeof line, "%s\t%s\t%.2f\t%s\t%.2f\t%s\t%s\n", m.kernels.c_str(), m.type.c_str(), m.figures.efficiency(),
                  least.c_str(), m.figures.conflicts(), most.c_str(), why.c_str());
    table << line;
    bounds.erase(key);
  }
  for (const auto& [key, row] : bounds) FAIL_CHECK(key, " stands in ", path.string(), " and was not measured");
  if (update) std::ofstream(path) << table.str();
}
