// defines: the formula: weights, images and pictures out of a name and a counter, the same bit for bit in every language
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "layers/params.hpp"

namespace ptrain {

uint64_t fnv1a64(std::string_view text);  // 64-bit FNV-1a of the bytes
uint64_t splitmix64(uint64_t x);
double unit(std::string_view key, uint64_t i);  // [0, 1), 24 bits: splitmix64(fnv1a64(key) + i)

// float(center + half·(2·unit − 1)). `half` is a float, so that product and sum are exact in double: one rounding, with FMA or without.
float formula(std::string_view key, uint64_t i, double center, float half);
void formula_fill(std::string_view key, double center, float half, std::vector<float>& values);  // i = 0, 1, 2, …

// The values that keep the activations of a net tame; `keras_net` is Keras' name, "ResNet50".
struct FormulaRange {
  double center;
  float half;
};
FormulaRange formula_range(std::string_view keras_net, std::string_view layer, std::string_view weight, const Shape& shape);

// Every parameter by formula; key = salt + "<keras_net>/<layer>/<weight>".
void formula_weights(Params& params, std::string_view keras_net, std::string_view salt = "");

// Preprocessed images [batch, height, width, 3] in (−1, 1): three quarters a mosaic of 16×16 cells, one quarter noise; sides ≤ 1,024.
std::vector<float> formula_input(int64_t batch, int64_t height, int64_t width, std::string_view salt = "");
std::vector<uint8_t> formula_picture(int64_t height, int64_t width, std::string_view salt = "", int64_t channels = 3);

}  // namespace ptrain
