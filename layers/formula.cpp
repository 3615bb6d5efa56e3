#include "layers/formula.hpp"

#include <cmath>

namespace ptrain {
namespace {

double unit_of(uint64_t hash, uint64_t i) { return double(splitmix64(hash + i) >> 40) * 0x1p-24; }

}  // namespace

uint64_t fnv1a64(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ uint8_t(c)) * 0x100000001b3u;
  return hash;
}

uint64_t splitmix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

double unit(std::string_view key, uint64_t i) { return unit_of(fnv1a64(key), i); }

float formula(std::string_view key, uint64_t i, double center, float half) { return float(center + double(half) * (2 * unit(key, i) - 1)); }

void formula_fill(std::string_view key, double center, float half, std::vector<float>& values) {
  const uint64_t hash = fnv1a64(key);
  for (size_t i = 0; i < values.size(); ++i) values[i] = float(center + double(half) * (2 * unit_of(hash, i) - 1));
}

FormulaRange formula_range(std::string_view net, std::string_view layer, std::string_view weight, const Shape& shape) {
  const auto he = [](int64_t fan_in) { return float(std::sqrt(6.0 / double(fan_in))); };
  if (weight == "depthwise_kernel") return {0, he(shape[0] * shape[1])};
  if (weight == "kernel") return {0, he(shape.size() / shape[shape.rank() - 1])};
  if (weight == "moving_variance") return {1, 0.2f};
  if (weight == "bias" || weight == "beta" || weight == "moving_mean") return {0, 0.1f};
  if (weight == "gamma") {  // smaller where a residual branch ends, so that the sum over the blocks stays small
    const bool ends_branch =
        layer.ends_with("_project_BN") || (net == "ResNet50" && (layer.ends_with("_0_bn") || layer.ends_with("_3_bn")));
    return {ends_branch ? 0.5 : 1.0, 0.1f};
  }
  fail(ErrorKind::failed, "no formula for the weight '", layer, "/", weight, "'");
}

void formula_weights(Params& params, std::string_view net, std::string_view salt) {
  std::vector<float> values;
  for (Param& p : params.list()) {
    const auto [center, half] = formula_range(net, p.layer, p.weight, p.shape);
    values.resize(size_t(p.shape.size()));
    formula_fill(concat(salt, net, "/", p.key()), center, half, values);
    p.value.upload(values);
  }
  params.refresh_copies();
}

std::vector<float> formula_input(int64_t batch, int64_t height, int64_t width, std::string_view salt) {
  REQUIRE_THAT(height <= 1024 && width <= 1024, "formula_input: ", height, "x", width, " is more than 64 cells of 16");
  const uint64_t coarse = fnv1a64(concat(salt, "input/coarse")), fine = fnv1a64(concat(salt, "input/fine"));
  std::vector<float> x;
  x.reserve(size_t(batch * height * width * 3));
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t h = 0; h < height; ++h)
      for (int64_t w = 0; w < width; ++w)
        for (int64_t c = 0; c < 3; ++c) {
          const int64_t cell = ((n * 64 + h / 16) * 64 + w / 16) * 3 + c;
          x.push_back(float(0.75 * (2 * unit_of(coarse, uint64_t(cell)) - 1) + 0.25 * (2 * unit_of(fine, x.size()) - 1)));
        }
  return x;
}

std::vector<uint8_t> formula_picture(int64_t height, int64_t width, std::string_view salt, int64_t channels) {
  const uint64_t hash = fnv1a64(concat(salt, "image/", height, "x", width));
  std::vector<uint8_t> pixels(size_t(height * width * channels));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(splitmix64(hash + i) >> 56);
  return pixels;
}

}  // namespace ptrain
