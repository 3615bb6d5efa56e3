// Every step of every ladder computes what the reference computes, in three schedules.
#include "kernels/ladder/ladder.hpp"
#include "tests/kernels/cuda_sim.hpp"

using namespace ptrain;
using namespace ptrain::test;
namespace ladder = ptrain::cuda::ladder;

namespace {

// Runs body(shift) in float32, which is what ladders compute in.
template <class F>
void in_float32(F&& body) {
  in_each_schedule([&](DType type, bool shift) {
    if (type == DType::float32) body(shift);
  });
}

}  // namespace

TEST_CASE("ladder: depthwise steps equal the reference") {
  const DepthwiseShape shapes[] = {{.n = 2, .h = 9, .w = 7, .c = 20, .pad_h = 1, .pad_w = 1},
                                   {.n = 1, .h = 8, .w = 11, .c = 33, .stride = 2, .more_h = 1, .more_w = 1},
                                   {.n = 1, .h = 3, .w = 3, .c = 1}};
  in_float32([&](bool shift) {
    for (const DepthwiseShape& s : shapes)
      for (const auto& step : ladder::kDepthwise) {
        CAPTURE(step.name);
        Duel d(DType::float32, shift);
        const Both &x = d.input(numbers(1, s.x_size())), &w = d.input(numbers(2, s.w_size())), &y = d.output(s.y_size());
        d.ref.depthwise_forward(*d.ref_exec, s, x.here, w.here, y.here);
        step.run(s, x.there, w.there, y.there, d.exec.stream);
        d.same("y", y, 9);
      }
  });
}

TEST_CASE("ladder: norm steps equal the reference") {
  const NormShape shapes[] = {{.rows = 77, .c = 40}, {.rows = 600, .c = 7}, {.rows = 1, .c = 3}};
  in_float32([&](bool shift) {
    for (const NormShape& s : shapes)
      for (const auto& step : ladder::kNorm) {
        CAPTURE(step.name);
        Duel d(DType::float32, shift);
        const Both &x = d.input(numbers(1, s.size(), -2, 2)), &gamma = d.input(numbers(2, s.c)), &beta = d.input(numbers(3, s.c)),
                   &moving_mean = d.state(numbers(4, s.c), DType::float32),
                   &moving_variance = d.state(numbers(5, s.c, 0.5, 2), DType::float32), &mean = d.output(s.c), &inv_std = d.output(s.c),
                   &y = d.output(s.size());
        const auto arguments = [&](Buffer Both::*side) {
          return NormTrain{.x = x.*side,
                           .gamma = gamma.*side,
                           .beta = beta.*side,
                           .moving_mean = moving_mean.*side,
                           .moving_variance = moving_variance.*side,
                           .momentum = 0.9,
                           .mean = mean.*side,
                           .inv_std = inv_std.*side,
                           .y = y.*side};
        };
        d.ref.norm_train_forward(*d.ref_exec, s, arguments(&Both::here));
        step.run(s, arguments(&Both::there), d.exec, d.exec.stream);
        d.same("mean", mean, s.rows, 2);
        d.same("inv_std", inv_std, {1e-2, 1e-3});  // 1/√(variance + 1e-3), up to 32, of a variance that step 1 takes from a difference
        d.same("moving mean", moving_mean, s.rows, 2);
        d.same("moving variance", moving_variance, s.rows, 4);
        d.same("y", y, {1e-2, 1e-3});
      }
  });
}

TEST_CASE("ladder: cross entropy steps equal the reference") {
  const SoftmaxShape shapes[] = {{37, 2}, {5, 70}, {300, 5}, {1, 1}};
  in_float32([&](bool shift) {
    for (const SoftmaxShape& s : shapes)
      for (const auto& step : ladder::kCrossEntropy) {
        CAPTURE(step.name);
        std::vector<double> labels = numbers(2, s.rows, 0, double(s.classes));
        for (double& l : labels) l = std::min(std::floor(l), double(s.classes - 1));
        Duel d(DType::float32, shift);
        const Both &z = d.input(numbers(1, s.rows * s.classes, -9, 9)), &label = d.input(labels, DType::int32),
                   &weights = d.input(numbers(3, s.classes, 0.5, 2)), &p = d.output(s.rows * s.classes), &losses = d.output(s.rows),
                   &loss = d.output(1);
        d.ref.softmax_cross_entropy_forward(*d.ref_exec, s, z.here, label.here, weights.here, p.here, losses.here, {loss.here});
        step.run(s, z.there, label.there, weights.there, p.there, losses.there, {loss.there}, d.exec.stream);
        d.same("p", p, 16);
        d.same("losses", losses, 16, 40);
        d.same("loss", loss, s.rows, 40);
      }
  });
}

TEST_CASE("ladder: augmentation steps equal the reference") {
  in_float32([&](bool shift) {
    for (const int64_t channels : {1, 3})
      for (const auto& step : ladder::kAugment) {
        CAPTURE(step.name);
        const AugmentShape s{.n = 2, .h = 19, .w = 23, .c = channels};
        const AugmentImage images[] = {{.transform = {0.98f, 0.1f, 1.5f, -0.1f, 1.02f, -2, 0, 0}, .contrast = 1.2f, .brightness = 7},
                                       {.transform = {}, .contrast = 1, .brightness = 0}};
        const Preprocess pre{.scale = {1 / 127.5f, 1 / 127.5f, 1 / 127.5f}, .shift = {-1, -0.5f, 0}, .bgr = true};
        std::vector<double> pixels = numbers(1, s.n * s.h * s.w * s.c, 0, 256);
        for (double& v : pixels) v = std::floor(v);
        Duel d(DType::float32, shift);
        const Both &x = d.input(pixels, DType::uint8), &y = d.output(s.n * s.h * s.w * 3);
        void* on_device = nullptr;
        cudaMalloc(&on_device, sizeof images);
        cudaMemcpy(on_device, images, sizeof images, cudaMemcpyHostToDevice);
        d.ref.augment(*d.ref_exec, s, images, x.here, pre, y.here);
        step.run(s, static_cast<const AugmentImage*>(on_device), x.there, pre, y.there, d.exec, d.exec.stream);
        cudaStreamSynchronize(d.exec.stream);
        cudaFree(on_device);
        d.same("y", y, {1e-4, 1e-6});  // the mean is summed in another order
      }
  });
}
